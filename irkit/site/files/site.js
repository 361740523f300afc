(() => {
  const form = document.getElementById("find"), found = document.getElementById("found");
  const rows = [...document.querySelectorAll("#incidents tbody tr")], none = document.getElementById("none");
  const filters = ["type", "severity", "status"];
  const show = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = filters.every((name) => !form.elements[name].value || row.dataset[name] === form.elements[name].value);
      row.hidden = !(fits && words.every((word) => row.dataset.text.includes(word)));
      count += !row.hidden;
    }
    const all = `${rows.length} ${rows.length === 1 ? "report" : "reports"}`;
    found.textContent = count === rows.length ? all : `${count} of ${all}`;
    none.hidden = count > 0;
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
