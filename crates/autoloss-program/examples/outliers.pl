#!/usr/bin/env perl
# A program as a task, with Perl alone: a line through points of which some are far off, for the median error.
#
#     autoloss search --evaluator "perl crates/autoloss-program/examples/outliers.pl" --time 2m
#
# It reads and writes the lines of JSON of docs/worker.md. The loss comes as steps over fields of one channel, here
# lists of numbers, or of one number where a step is a mean.
use strict;
use warnings;
use JSON::PP;

my $VERSION = 3;
my %UPDATES = (proxy => 200, full => 400);
my $RATE    = 0.03;
my $json    = JSON::PP->new->canonical->allow_nonref;
$| = 1;

# Points (x, y) near the line y = 1.5 x - 0.5; a share of them lies far above it.
sub points {
    my ($count, $seed, $far) = @_;
    srand($seed);
    my (@x, @y);
    for (1 .. $count) {
        my $x = 2 * rand() - 1;
        my $noise = 0.3 * (rand() + rand() + rand() - 1.5);
        push @x, $x;
        push @y, 1.5 * $x - 0.5 + $noise + (rand() < $far ? 4 : 0);
    }
    return [ \@x, \@y ];
}

my %sets = (train => points(120, 1, 0.25), search => points(300, 2, 0), validation => points(300, 3, 0));

# 1 / (1 + the median distance from the targets).
sub score {
    my ($prediction, $target) = @_;
    my @errors = sort { $a <=> $b } map { abs($prediction->[$_] - $target->[$_]) } 0 .. $#$target;
    return 1 / (1 + $errors[ @errors / 2 ]);
}

sub erf {    # Abramowitz and Stegun 7.1.26
    my $x = shift;
    my $t = 1 / (1 + 0.3275911 * abs $x);
    my $p = ((((1.061405429 * $t - 1.453152027) * $t + 1.421413741) * $t - 0.284496736) * $t + 0.254829592) * $t;
    my $y = 1 - $p * exp(-$x * $x);
    return $x < 0 ? -$y : $y;
}

sub tanh_of { my $e = exp(-2 * abs $_[0]); my $y = (1 - $e) / (1 + $e); return $_[0] < 0 ? -$y : $y }
sub inverse { return $_[0] == 0 ? 9**9**9 : 1 / $_[0] }
sub same    { return $_[0] }
sub one     { return 1 }

# Value of each function of one number, and its derivative from the operand and the value.
my %one = (
    neg       => [ sub { -$_[0] }, sub { -1 } ],
    abs       => [ sub { abs $_[0] }, sub { $_[0] <=> 0 } ],
    sign      => [ sub { $_[0] <=> 0 }, sub { 0 } ],
    recip     => [ \&inverse, sub { -$_[1] * $_[1] } ],
    exp       => [ sub { exp $_[0] }, sub { $_[1] } ],
    ln        => [ sub { $_[0] > 0 ? log $_[0] : -9**9**9 }, sub { inverse($_[0]) } ],
    tanh      => [ \&tanh_of, sub { 1 - $_[1] * $_[1] } ],
    sqrt      => [ sub { sqrt abs $_[0] }, sub { 0.5 * inverse($_[1]) } ],
    sin       => [ sub { sin $_[0] }, sub { cos $_[0] } ],
    cos       => [ sub { cos $_[0] }, sub { -sin $_[0] } ],
    atan      => [ sub { atan2($_[0], 1) }, sub { 1 / (1 + $_[0] * $_[0]) } ],
    erf       => [ \&erf, sub { 1.1283791670955126 * exp(-$_[0] * $_[0]) } ],
    softmax_c => [ \&one, sub { 0 } ],
    map { $_ => [ \&same, \&one ] } qw(mean_c max_pool min_pool),
);

# The same of two numbers; the derivatives for both.
my %two = (
    add => [ sub { $_[0] + $_[1] }, sub { (1, 1) } ],
    sub => [ sub { $_[0] - $_[1] }, sub { (1, -1) } ],
    mul => [ sub { $_[0] * $_[1] }, sub { ($_[1], $_[0]) } ],
    div => [ sub { $_[0] * inverse($_[1]) }, sub { my $r = inverse($_[1]); ($r, -$_[0] * $r * $r) } ],
);

# The gradient of a loss for the prediction; both lists have as many numbers.
sub gradient {
    my ($steps, $yhat, $y) = @_;
    my ($n, @values) = scalar @$yhat;
    for my $step (@$steps) {
        my ($name, @operands) = @$step;
        my ($x, $z) = map { $name eq 'input' || $name eq 'constant' ? [] : $values[$_] } @operands;
        if    ($name eq 'input')    { push @values, $operands[0] eq 'yhat' ? $yhat : $y }
        elsif ($name eq 'constant') { push @values, [ 0 + $operands[0] ] }
        elsif ($name eq 'mean_nhw') { push @values, [ sum($x) / @$x ] }
        elsif ($z) {
            my $most = @$x > @$z ? @$x : @$z;
            push @values, [ map { $two{$name}[0]->(at($x, $_), at($z, $_)) } 0 .. $most - 1 ];
        }
        else { push @values, [ map { $one{$name}[0]->($_) } @$x ] }
    }
    my @gradients = map { [ (0) x @$_ ] } @values;
    my $last = $gradients[-1];
    $_ = 1 / @$last for @$last;
    my @total = (0) x $n;
    for my $i (reverse 0 .. $#$steps) {
        my ($name, @operands) = @{ $steps->[$i] };
        my ($g, $value) = ($gradients[$i], $values[$i]);
        if ($name eq 'input') { $operands[0] eq 'yhat' and $total[$_] += $g->[$_] for 0 .. $n - 1; next }
        next if $name eq 'constant';
        my ($x, $z) = map { $values[$_] } @operands;
        my ($gx, $gz) = map { $gradients[$_] } @operands;
        if ($name eq 'mean_nhw') { $_ += $g->[0] / @$x for @$gx; next }
        for my $k (0 .. $#$g) {
            if ($z) {
                my ($dx, $dz) = $two{$name}[1]->(at($x, $k), at($z, $k));
                $gx->[ @$x > 1 ? $k : 0 ] += $g->[$k] * $dx;
                $gz->[ @$z > 1 ? $k : 0 ] += $g->[$k] * $dz;
            }
            else { $gx->[$k] += $g->[$k] * $one{$name}[1]->($x->[$k], $value->[$k]) }
        }
    }
    return \@total;
}

sub at  { my ($list, $k) = @_; return $list->[ @$list > 1 ? $k : 0 ] }
sub sum { my $sum = 0; $sum += $_ for @{ $_[0] }; return $sum }

# Trains slope and intercept by Adam, and gives the outcome.
sub train {
    my ($order) = @_;
    my ($steps, $job) = ($order->{forms}{steps}{branches}[0]{steps}, $order->{job});
    my ($x, $y) = @{ $sets{train} };
    srand($job->{seed} % 4294967296);
    my @weights = (rand() - 0.5, rand() - 0.5);
    my (@first, @second) = ();
    for my $update (1 .. $UPDATES{ $job->{schedule} }) {
        my $prediction = predict($x, @weights);
        my $g = gradient($steps, $prediction, $y);
        my @of_weights = (sum([ map { $g->[$_] * $x->[$_] } 0 .. $#$x ]), sum($g));
        if ($job->{stop_on_invalid} && grep { $_ - $_ != 0 } @of_weights) {
            return { trained => { fate => 'stopped', score => 0, reason => "not finite at update $update" } };
        }
        for my $i (0, 1) {
            $first[$i]  = 0.9 * ($first[$i]    // 0) + 0.1 * $of_weights[$i];
            $second[$i] = 0.999 * ($second[$i] // 0) + 0.001 * $of_weights[$i]**2;
            my $mean  = $first[$i] / (1 - 0.9**$update);
            my $scale = sqrt($second[$i] / (1 - 0.999**$update)) + 1e-8;
            $weights[$i] -= $RATE * $mean / $scale;
        }
    }
    ($x, $y) = @{ $sets{ $job->{set} } };
    return { trained => { score => score(predict($x, @weights), $y) } };
}

sub predict { my ($x, $slope, $intercept) = @_; return [ map { $slope * $_ + $intercept } @$x ] }

# Writes a list as an array of numpy's with these extents.
sub write_npy {
    my ($path, $extents, $values) = @_;
    my $header = "{'descr': '<f4', 'fortran_order': False, 'shape': ($extents), }";
    $header .= ' ' x (-(length($header) + 11) % 64) . "\n";
    open my $file, '>:raw', $path or die "$path: $!";
    print $file "\x93NUMPY\x01\x00", pack('v', length $header), $header, pack('f<*', @$values);
    close $file or die "$path: $!";
}

# The numbers of an array that the search wrote.
sub read_npy {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    my $bytes = <$file>;
    return [ unpack 'f<*', substr $bytes, 10 + unpack('v', substr $bytes, 8, 2) ];
}

my @targets;

sub samples {
    my ($asked) = @_;
    @targets = ();
    my @given;
    for my $number (0 .. $asked->{count} - 1) {
        my ($x, $y) = @{ points(40, $asked->{seed} % 1000003 + $number, 0.25) };
        my $n = @$x;
        write_npy("$asked->{folder}/p$number.npy", "$n, 1", predict($x, 0.2, 0.1));
        write_npy("$asked->{folder}/t$number.npy", "$n, 1", $y);
        push @targets, $y;
        push @given, { branches => [ { prediction => "p$number.npy", target => "t$number.npy" } ] };
    }
    return \@given;
}

my %answers = (
    hello => sub {
        my %task = (
            name      => 'outliers',
            metric    => '1 / (1 + median error)',
            branches  => [ { name => 'output', channels => 1, activation => 'none' } ],
            baselines => [ 'zoo:mse', 'zoo:l1' ],
            seconds   => { proxy => 0.3, full => 0.6 },
        );
        return { ready => { version => $VERSION, forms => ['steps'], task => \%task } };
    },
    samples => sub { return { samples => samples($_[0]) } },
    score   => sub {
        my @scores = map { score(read_npy($_->{files}[0]), $targets[ $_->{sample} ]) } @{ $_[0]{predictions} };
        return { scores => { id => $_[0]{id}, scores => \@scores } };
    },
    train  => sub { return { done => { id => $_[0]{id}, outcome => train($_[0]) } } },
    cancel => sub { return undef },    # Trainings are short.
);

while (my $line = <STDIN>) {
    my ($kind, $message) = %{ $json->decode($line) };
    my $reply = $answers{$kind} ? $answers{$kind}->($message) : undef;
    print $json->encode($reply), "\n" if $reply;
}
