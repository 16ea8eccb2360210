#!/usr/bin/env bash
# Measures the figures of docs/performance.md and docs/results.md: about three quarters of an hour on 2 cores that have
# nothing else to do. Searches of half an hour and the comparison with exact verdicts are not among them:
#
#   autoloss search [--task digits-detection|digits-instances|figures-pose] --time 30m --seed N
#   autoloss screen --count 10000 --compare-exact
#
#   benches/figures.sh [VOC_FOLDER]
#
# With a data set in PASCAL VOC's layout, also a search of ten minutes on it and a comparison.
set -euo pipefail
data=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
cargo build --release
program=$PWD/target/release/autoloss
work=$(mktemp -d)

echo "== the processor"
grep -m1 'model name' /proc/cpuinfo || true
nproc

echo "== three searches with nothing else given"
for seed in 0 1 2; do
    /usr/bin/time -f '%e s, at most %M KiB' "$program" search --seed $seed --run "$work/digits-$seed"
done

echo "== random candidates screened on the default task"
"$program" screen --count 100000
/usr/bin/time -f '%e s, at most %M KiB' "$program" screen --count 1000000
"$program" screen --count 10000 --made-up 21x128x128

echo "== steps of optimising stored predictions, beside other frameworks if they are there"
cargo bench -p autoloss-expr --bench optimise -- --peers eager,compile,jax
cargo bench -p autoloss-expr --bench roofline

echo "== steps of training"
cargo run --release -p autoloss-nets --example train_step
cargo run --release -p autoloss-nets --example object_step

echo "== operations of the networks, beside Burn's own"
cargo bench -p autoloss-nets

echo "== hand-written losses of detection, instances and pose, three seeds, one core each"
for task in digits-detection digits-instances; do
    "$program" compare --task $task --loss zoo:ce_smooth_l1 --loss zoo:ce_giou --workers 1
done
"$program" compare --task figures-pose --loss zoo:mse --workers 1

echo "== four-branch candidates screened, and how screening apart and together agree"
"$program" screen --task digits-detection --count 100000
time "$program" screen --task digits-detection --count 400 --compare-branches

if [ -n "$data" ]; then
    echo "== ten minutes on $data"
    "$program" search --task voc --data "$data" --time 10m --run "$work/voc"
    "$program" compare --task voc --data "$data" --loss "@$work/voc" --loss zoo:cross_entropy --loss zoo:dice
fi
rm -rf "$work"
