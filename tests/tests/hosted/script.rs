//! Packages of another program: `bin/` of shell scripts, as the existing system makes them.

/// Runs until it is told to end.
pub const SLEEPS: &str = "#!/bin/sh
echo run >> \"$TEST_ORDER\"
echo 'the guest says hello'
exec /bin/sleep 1000
";

/// Does not end when it is told to.
pub const STUBBORN: &str = "#!/bin/sh
trap '' TERM
while :; do /bin/sleep 1; done
";

/// Does not start.
pub const FAILS: &str = "#!/bin/sh
echo 'no such device: /dev/nothing' >&2
exit 1
";

/// Fails when a file says so, once.
pub const FAILS_ONCE: &str = "#!/bin/sh
while :; do
  if [ -e fail ]; then /bin/rm fail; exit 1; fi
  /bin/sleep 0.1
done
";

const TAP_UP: &str = "#!/bin/sh
echo tap-up >> \"$TEST_ORDER\"
";

const TAP_DOWN: &str = "#!/bin/sh
echo tap-down >> \"$TEST_ORDER\"
";

/// Asks the process that holds the lock of the VM.
const SHUTDOWN: &str = "#!/bin/sh
echo shutdown >> \"$TEST_ORDER\"
read -r pid < \"../.microvm/run/${PWD##*/}:hypervisor.lock\"
kill \"$pid\"
for step in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 \"$pid\" 2> /dev/null || exit 0
  /bin/sleep 0.1
done
exit 1
";

/// Tells that it serves, as sd_notify(3) has it, through the program that writes to sockets.
const SHARES: &str = "#!/usr/bin/perl
use Socket;
open(my $order, '>>', $ENV{TEST_ORDER});
syswrite($order, \"shares\\n\");
$SIG{TERM} = sub { syswrite($order, \"shares end\\n\"); exit 0 };
my $socket = $ENV{NOTIFY_SOCKET} =~ s/^@/\\0/r;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
send($s, \"READY=1\", 0, sockaddr_un($socket));
sleep 1 while 1;
";

/// The whole `bin/` of a package with this `microvm-run`.
pub fn around(run: &str) -> [(&'static str, &str); 5] {
    [
        ("microvm-run", run),
        ("microvm-shutdown", SHUTDOWN),
        ("tap-up", TAP_UP),
        ("tap-down", TAP_DOWN),
        ("virtiofsd-run", SHARES),
    ]
}
