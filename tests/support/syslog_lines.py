"""Made-up lines of the daemons of a small site, each with the number of its message.

What they name (people, hosts, queues, devices) are few words without a digit, as at most sites: the hard case, in which a
name looks like a word that tells messages apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

R = random.Random()  # noqa: S311 (a drawing of lots, not a secret)
# fmt: off
# ruff: noqa: E501 (a log line is easiest to check in one piece)
USERS = ("root", "mail", "news", "operator", "jsmith", "mlee", "guest", "admin", "oracle", "webmaster")
HOSTS = ("gateway", "mailhub", "frontend", "printer", "backup-server", "ns.example.org", "relay.example.net", "login.cluster", "head.cluster", "storage")
INTERFACES, NETWORKS = ("eth0", "eth1", "bond0", "ib0"), ("lan", "wan", "dmz")
SERVICES = ("sshd", "crond", "nfs", "xinetd", "httpd", "ntpd", "cups", "named", "atd", "gpm")
COMMANDS = ("/usr/lib/sa/sa1 1 1", "run-parts /etc/cron.hourly", "run-parts /etc/cron.daily", "/usr/bin/updatedb", "test -x /usr/sbin/anacron || ( cd / && run-parts )", "/opt/backup/bin/nightly --full")
MODULES, PROGRAMS, DISKS = ("ext3", "nfs", "lockd", "autofs4", "usbcore", "snd_pcm"), ("java", "python", "mysqld"), ("sda", "sdb", "sdc", "hda")


def number(least: int = 1, most: int = 99999) -> str:
    return str(R.randint(least, most))


def ip() -> str:
    return ".".join(number(1, 254) for _ in range(4))


def hexes(length: int) -> str:
    return f"{R.getrandbits(4 * length):0{length}x}"


def mac() -> str:
    return ":".join(hexes(2) for _ in range(6))


def of(*choices: str) -> str:
    return R.choice(choices)


def mostly(choices: Sequence[str]) -> str:
    """The first mostly, the later the more seldom."""
    return choices[min(int(R.expovariate(0.9)), len(choices) - 1)]


def peer() -> str:
    return f"{of(*HOSTS)}[{ip()}]"


def mail() -> str:
    return f"{of(*USERS)}@{of(*HOSTS)}"


# how often, and the line
MESSAGES: tuple[tuple[int, Callable[[], str]], ...] = (
    (60, lambda: f"session opened for user {mostly(USERS)} by (uid=0)"),
    (58, lambda: f"session closed for user {mostly(USERS)}"),
    (8, lambda: f"session opened for user {mostly(USERS)} by {of('LOGIN', 'root', 'jsmith')}(uid=0)"),
    (40, lambda: f"({mostly(('root', 'backup', 'nobody'))}) CMD ({of(*COMMANDS)})"),
    (12, lambda: f"authentication failure; logname= uid=0 euid=0 tty=NODEV{number()} ruser= rhost={of(*HOSTS, ip())} "+of("", " user="+of(*USERS))),
    (5, lambda: "check pass; user unknown"),
    (30, lambda: f"connect from {peer()}"),
    (30, lambda: f"disconnect from {peer()}"),
    (25, lambda: f"{hexes(10).upper()}: from=<{mail()}>, size={number()}, nrcpt={number(1,5)} (queue active)"),
    (22, lambda: f"{hexes(10).upper()}: removed"),
    (20, lambda: f"{hexes(10).upper()}: to=<{mail()}>, relay={of('local', 'none', peer() + ':25')}, delay={number(0,9)}.{number(0,9)}, status={of('sent (250 ok)', 'deferred (connection timed out)', 'bounced (unknown user)')}"),
    (25, lambda: f"DHCPDISCOVER from {mac()} via {of(*INTERFACES)}"),
    (25, lambda: f"DHCPOFFER on {ip()} to {mac()} via {of(*INTERFACES)}"),
    (20, lambda: f"DHCPREQUEST for {ip()} ({ip()}) from {mac()} via {of(*INTERFACES)}"),
    (20, lambda: f"DHCPACK on {ip()} to {mac()} via {of(*INTERFACES)}"),
    (8, lambda: f"DHCPDISCOVER from {mac()} via {of(*INTERFACES)}: network {of('lab', 'office', 'cluster')}: no free leases"),
    (10, lambda: f"synchronized to {of(ip(), of(*HOSTS), 'LOCAL(0)')}, stratum {number(1,15)}"),
    (6, lambda: f"kernel time sync {of('enabled', 'disabled')} {number()}"),
    (6, lambda: f"time reset {of('+', '-')}{number(0,9)}.{number()} s"),
    (18, lambda: f"collector() got no reply from any [{of('Alpha Rack', 'Beta Rack', 'web', 'db', 'compute', 'storage-pool')}] source"),
    (10, lambda: f"{of(*SERVICES)} startup succeeded"),
    (10, lambda: f"{of(*SERVICES)} shutdown succeeded"),
    (6, lambda: f"{of(*SERVICES)}: {of(*SERVICES)} shutdown failed"),
    (8, lambda: f"Starting {of(*SERVICES)}: succeeded"),
    (12, lambda: f"START: {of(*SERVICES)} pid={number()} from={ip()}"),
    (12, lambda: f"EXIT: {of(*SERVICES)} status=0 pid={number()} duration={number()}(sec)"),
    (6, lambda: f"{of(*INTERFACES)}: link up, {of('10', '100', '1000')}Mbps, {of('full', 'half')}-duplex"),
    (6, lambda: f"{of(*INTERFACES)}: link down"),
    (6, lambda: f"device {of(*NETWORKS)} entered promiscuous mode"),
    (6, lambda: f"device {of(*NETWORKS)} left promiscuous mode"),
    (5, lambda: f"usb {number(1,4)}-{number(1,4)}: new {of('full', 'high', 'low')} speed USB device using {of('ehci_hcd', 'uhci_hcd')} and address {number(2,9)}"),
    (4, lambda: f"usbcore: registered new driver {of('hub', 'usbhid', 'hiddev', 'usb-storage')}"),
    (8, lambda: f"job {number()}.{of(*HOSTS)} enqueued into {of('batch', 'short', 'long', 'interactive')}, state {number(1,3)} hop 1"),
    (8, lambda: f"Job Run at request of {mail()}"),
    (8, lambda: f"Exit_status={number(0,9)} resources_used.cput={number(0,9)}:{number(10,59)}:{number(10,59)} resources_used.mem={number()}kb"),
    (6, lambda: f"im_eof, Premature end of message from addr {ip()}:{number()}"),
    (5, lambda: f"scan_for_terminated: job {number()}.{of(*HOSTS)} task {number(1,9)} terminated, sid {number()}"),
    (10, lambda: f"Accepted {of('password', 'publickey')} for {of(*USERS)} from {ip()} port {number()} ssh2"),
    (8, lambda: f"Failed password for invalid user {of(*USERS, 'test', 'ftp', 'pi')} from {ip()} port {number()} ssh2"),
    (10, lambda: f"lost connection after {of('CONNECT', 'EHLO', 'AUTH', 'DATA')} from {peer()}"),
    (7, lambda: f"warning: {ip()}: hostname {of(*HOSTS)} verification failed: Name or service not known"),
    (8, lambda: f"imap-login: Login: user=<{of(*USERS)}>, method={of('PLAIN', 'CRAM-MD5')}, rip={ip()}, lip={ip()}, TLS"),
    (6, lambda: f"imap({of(*USERS)}): Disconnected: Logged out bytes={number()}/{number()}"),
    (6, lambda: f"query (cache) '{of(*HOSTS)}/{of('A', 'AAAA', 'MX')}/IN' denied"),
    (6, lambda: f"client {ip()}#{number()}: update '{of(*HOSTS)}/IN' denied"),
    (6, lambda: f"zone {of(*HOSTS)}/IN: loaded serial {number()}"),
    (5, lambda: f"Mounted filesystem {of('/data', '/home', '/var')} with ordered data mode"),
    (5, lambda: f"EXT3 FS on {of('sda1', 'sdb2', 'dm-0')}, internal journal"),
    (4, lambda: f"{of(*MODULES)}: module license '{of('GPL', 'Proprietary', 'Dual BSD/GPL')}' taints kernel."),
    (5, lambda: f"PCI: Setting IRQ {number(1,15)} as level-triggered"),
    (7, lambda: f"ACPI: PCI Interrupt 0000:{hexes(2)}:{hexes(2)}.{number(0,7)}[{of('A', 'B', 'C', 'D')}] -> GSI {number(16,60)} (level, low) -> IRQ {number(16,200)}"),
    (6, lambda: f"Device: /dev/{of(*DISKS)}, SMART Usage Attribute: {number(1,200)} {of('Temperature_Celsius', 'Raw_Read_Error_Rate', 'Seek_Error_Rate')} changed from {number(1,200)} to {number(1,200)}"),
    (6, lambda: f"Device: /dev/{of(*DISKS)}, {number(1,8)} Currently unreadable (pending) sectors"),
    (6, lambda: f"Killed process {number()} ({of(*PROGRAMS)}) total-vm:{number()}kB, anon-rss:{number()}kB, file-rss:0kB"),
    (6, lambda: f"{of(*PROGRAMS)}[{number()}]: segfault at {hexes(16)} rip {hexes(16)} rsp {hexes(16)} error {number(4,15)}"),
    (5, lambda: f"nfs: server {of(*HOSTS)} not responding, still trying"),
    (5, lambda: f"nfs: server {of(*HOSTS)} OK"),
    (5, lambda: f"expired mount {of('/misc/cd', '/net/store', '/home/jsmith')}"),
    (5, lambda: f"{of(*USERS)} : TTY=pts/{number(0,9)} ; PWD=/home/{of(*USERS)} ; USER=root ; COMMAND=/bin/{of('su -', 'ls /root', 'cat /etc/shadow', 'systemctl restart nfs')}"),
    (5, lambda: f"Started {of('Session', 'Network Manager', 'Daily Cleanup', 'Postfix Mail Server', 'Login Service')}{of(' '+number(), '')}."),
    (5, lambda: f"Stopped target {of('Timers', 'Basic System', 'Remote File Systems', 'Network')}."),
    (5, lambda: f"Reloading configuration for unit {of(*SERVICES)}.service"),
    (5, lambda: f"IN={of(*INTERFACES)} OUT= MAC={mac()}:{mac()} SRC={ip()} DST={ip()} LEN={number(40,1500)} PROTO={of('TCP', 'UDP', 'ICMP')} SPT={number()} DPT={number()}"),
    (5, lambda: f"Did not receive identification string from {of(*HOSTS, ip())}"),
    (4, lambda: f"ALERT: {of(*HOSTS)} is {of('DOWN', 'UP')} since {number(1,60)} minutes"),
    (5, lambda: f"printer {of('laser', 'color-one', 'plotter')} state changed to {of('idle', 'processing', 'stopped')}"),
    (5, lambda: f"FAILED LOGIN {number(1,5)} FROM {of(*HOSTS)} FOR {of(*USERS)}, Authentication failure"),
    (5, lambda: f"Registered component {of('Scheduler', 'Dispatcher', 'Collector', 'Exporter', 'Reaper')} in {number()} ms"),
    (5, lambda: f"worker {of('alpha', 'beta', 'gamma')}-{number(1,9)} picked up task {of('resize', 'transcode', 'email')} [{hexes(8)}-{hexes(4)}-{hexes(4)}]"),
    (5, lambda: f"Topic {of('orders', 'billing', 'audit')} partition {number(0,30)} leader changed from {number(1,9)} to {number(1,9)}"),
    (5, lambda: f"Opening socket connection to server {of(*HOSTS)}/{ip()}:{number()}"),
    (5, lambda: f"Client session timed out, have not heard from server in {number()}ms for sessionid 0x{hexes(14)}, closing socket connection and attempting reconnect"),
    (5, lambda: f"cache {of('users', 'sessions', 'items')} {of('hit', 'miss')} ratio {number(0,99)}%"),
)
_SAME = {2: 0}  # one format: who opened it may be left out


def lines(seed: int, count: int = 2000) -> list[tuple[int, str]]:
    """So many lines, each with the number of its message; the same for the same seed."""
    R.seed(seed)
    picked = R.choices(range(len(MESSAGES)), [often for often, _ in MESSAGES], k=count)
    return [(_SAME.get(label, label), MESSAGES[label][1]()) for label in picked]
