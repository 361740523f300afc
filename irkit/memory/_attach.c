/* What is injected into a process that has no agent: a library whose loading starts one thread and nothing else.

   The thread that the injector borrows stands in the middle of a system call, and must not run Python: it may hold the
   interpreter lock, or half a data structure. So the new thread waits for the lock as any other would, runs the file
   `attach.py` that lies beside this library, and ends. By then the injector has left.

   Linked against nothing, so that one build serves glibc of any age, musl, and any Python: what it needs is found in the
   process. It is never unloaded, for the thread runs in it: what stays is this page or two. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static char code[4096];

static void *run(void *unused) {
    int (*ensure)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    void (*release)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
    int (*interpret)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
    int (*ready)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    (void)unused;
    if (!ensure || !release || !interpret || !ready || !ready()) return NULL;
    int state = ensure();
    interpret(code);
    release(state);
    return NULL;
}

static int append(const char *text) {
    size_t had = strlen(code), more = strlen(text);
    if (had + more >= sizeof code) return 0;
    memcpy(code + had, text, more + 1);
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    Dl_info self;
    char folder[1024];
    if (!dladdr((void *)begin, &self) || !self.dli_fname || strlen(self.dli_fname) >= sizeof folder) return;
    strcpy(folder, self.dli_fname);
    char *slash = strrchr(folder, '/');
    /* it is put between quotes below; irkit gives it no other letters */
    if (!slash || strpbrk(folder, "'\\\n")) return;
    *slash = 0;
    /* one expression, so that no name is left in the service's __main__; a folder that is gone ends it quietly */
    if (!append("exec(\"try:\\n exec(compile(open('") || !append(folder) || !append("/attach.py').read(), '") ||
        !append(folder) || !append("/attach.py', 'exec'), {'__name__': 'irkit_attach', 'FOLDER': '") ||
        !append(folder) || !append("'})\\nexcept BaseException: pass\", {})"))
        return;
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /* no signal of the service's may be handled in a thread that it does not know */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_create(&thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}
