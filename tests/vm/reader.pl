# Used by run: copies one stream of the guest, stdin to stdout, up to the end
# mark. Perl, as shell variables cannot hold every byte; it is part of every
# Debian system (perl-base is essential).
#
# perl reader.pl MARK PID
#
# Bytes are passed on as they come; only what may be the beginning of MARK is
# held back until the next ones tell. Ends at MARK, or at the end of the file if
# the machine died before. If nobody reads our output any more, PID is told by
# SIGPIPE, and the rest is dropped so that the guest does not block.

use strict;
use warnings;

my ($mark, $pid) = @ARGV;
my $buffer = '';
my $gone = 0;
$SIG{PIPE} = 'IGNORE';

sub put {
    my ($bytes) = @_;
    while (!$gone && length $bytes) {
        my $n = syswrite STDOUT, $bytes;
        if (defined $n) {
            substr($bytes, 0, $n, '');
        } elsif (!$!{EINTR}) {
            $gone = 1;
            kill PIPE => $pid;
        }
    }
}

while (1) {
    my $n = sysread STDIN, $buffer, 65536, length $buffer;
    next if !defined $n && $!{EINTR};
    last if !$n;
    my $at = index $buffer, $mark;
    if ($at >= 0) {
        put(substr $buffer, 0, $at);
        exit 0;
    }
    my $held = length($mark) - 1;
    $held = length $buffer if $held > length $buffer;
    $held-- while $held && substr($buffer, -$held) ne substr($mark, 0, $held);
    put(substr $buffer, 0, length($buffer) - $held, '');
}
put($buffer);
