#!/usr/bin/perl
# Rules of the tree that no compiler checks; run in the root of the source tree. Prints each breach, and fails if there is one.
# `// tidy: ok` at the end of a line says that a coroutine finding there is a false alarm.
use strict;
use warnings;

# The arrows: what each room may include. Of store, datom may see only the headers named.
my %sees = (
    value   => ['value/'],
    crdt    => ['value/', 'crdt/'],
    store   => ['value/', 'crdt/', 'store/'],
    peer    => ['value/', 'crdt/', 'store/', 'peer/'],
    datom   => ['value/', 'datom/', 'store/kv.hpp', 'store/leveldb_kv.hpp', 'store/local_socket.hpp', 'store/overlay_kv.hpp'],
    realize => ['value/', 'crdt/', 'store/', 'datom/', 'realize/'],
    cli     => ['value/', 'crdt/', 'store/', 'peer/', 'datom/', 'realize/', 'cli/'],
);

# crdt is pure: nothing of it can block, or differ from run to run.
my $impure = qr/<(chrono|ctime|time\.h|sys\/time\.h|random|thread|mutex|shared_mutex|condition_variable|future|fstream|iostream|filesystem|unistd\.h)>/;

# g++ 12 destroys braced and capturing temporaries of a statement that contains co_await twice: name them first, then move them in.
my @hazards = (
    ['a capturing lambda',   qr/\[[^\]&=]*[A-Za-z_=][^\]]*\]\s*(\(|mutable|->|\{)/],
    ['a braced temporary',   qr/\b[A-Za-z_][\w:<>, ]*\{[^;]*\}/],
    ['a braced argument',    qr/[(,]\s*\{/],
);

my $breaches = 0;
sub breach {
    my ($file, $line, $what) = @_;
    print "$file:$line: $what\n";
    ++$breaches;
}

sub check_includes {
    my ($file, $room, $line, $text) = @_;
    breach($file, $line, "crdt does no I/O and has no clock: $1") if $room eq 'crdt' && $text =~ /^\s*#\s*include\s*($impure)/;
    return unless $text =~ /^\s*#\s*include\s*"([^"]+)"/;
    my $path = $1;
    return if $room eq 'cli' && -e "cli/$path";
    if ($path !~ s/^tributary\///) {
        breach($file, $line, "write \"tributary/<room>/<name>.hpp\", not \"$path\"");
    } elsif (!grep { index($path, $_) == 0 } @{$sees{$room}}) {
        breach($file, $line, "$room must not include $path");
    }
}

sub check_coroutines {
    my ($file, $text) = @_;
    $text =~ s/[^\n;]*\/\/ tidy: ok[^\n]*//g;
    $text =~ s/\/\/[^\n]*//g;
    my $line = 1;
    for my $statement (split /;/, $text) {
        if ($statement =~ /\bco_await\b/) {
            # Of a block only what follows the last brace that opens it belongs to the statement.
            (my $own = $statement) =~ s/^.*(?:\)|\belse|\bdo|\btry)\s*\{\s*\n//s;
            $own =~ s/^\s*\}+//s;
            for my $hazard (@hazards) {
                breach($file, $line + ($statement =~ tr/\n//), "$hazard->[0] in a statement with co_await") if $own =~ $hazard->[1];
            }
        }
        $line += ($statement =~ tr/\n//);
    }
}

my @files = sort map { glob "$_/*.hpp $_/*.cpp" } keys %sees;
die "tidy: no sources here; run this in the root of the source tree\n" unless @files;
for my $file (@files) {
    my ($room) = $file =~ /^(\w+)/;
    open my $in, '<', $file or die "tidy: $file: $!\n";
    my @lines = <$in>;
    close $in;
    for my $i (0 .. $#lines) {
        check_includes($file, $room, $i + 1, $lines[$i]);
        breach($file, $i + 1, "detached: its exceptions vanish") if $lines[$i] =~ /\bdetached\b/ && $lines[$i] !~ /\/\//;
    }
    # So every build shows that the header stands alone; headers.sh compiles those without a source.
    if ($file =~ /^\w+\/(.*)\.cpp$/ && -e "$room/$1.hpp") {
        my $own = "$1.hpp";
        my ($first) = grep { /^\s*#\s*include\s*"/ } @lines;
        breach($file, 1, "include its own header first") unless defined $first && $first =~ /["\/]\Q$own\E"/;
    }
    check_coroutines($file, join '', @lines) if grep { /\bco_await\b/ } @lines;
    breach($file, 1, "no #pragma once") if $file =~ /\.hpp$/ && !grep { /^#pragma once$/ } @lines;
}
print scalar(@files), " files, $breaches breaches\n";
exit($breaches == 0 ? 0 : 1);
