#!/usr/bin/env bash
# A search on an allocation of Slurm: Ray on all its nodes, the search on the first of them.
#
#   sbatch --nodes 4 --gpus-per-node 4 deploy/slurm.sh \
#       --task voc --data /data/VOC2012 --metric miou --time 47h --num-gpus 1
#
# The arguments are those of `python -m autoloss.ray`. The run is in $RUN, by default runs/slurm-JOB; a job that is
# requeued goes on with it. All nodes need the Python package with its extra `ray`, and for built-in tasks the program
# `autoloss`, in the PATH that sbatch passes on. Ray keeps a token in the home folder, which the nodes share.
#SBATCH --job-name=autoloss
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=48:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the end, for the search to end in order.
#SBATCH --signal=B:TERM@120
set -euo pipefail

run=${RUN:-runs/slurm-$SLURM_JOB_ID}
port=${PORT:-6379}
export RAY_USAGE_STATS_ENABLED=0

# The batch script runs on the first node.
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
others=$((SLURM_JOB_NUM_NODES - 1))
addresses=$(hostname --ip-address)
address=${addresses%% *}:$port

# Whatever ends this script ends Ray on all nodes: a step ends with its srun.
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="${address%:*}" --port="$port" --block &
for _ in {1..60}; do
    ray status --address "$address" >/dev/null 2>&1 && break
    sleep 2
done
if [ "$others" -gt 0 ]; then
    srun --overlap --nodes="$others" --ntasks="$others" --exclude="$head" \
        ray start --address="$address" --block &
fi

# Workers join while the search runs: it waits for nobody.
python -m autoloss.ray --address "$address" --run "$run" --resume "$@" &
search=$!
trap 'told=1; kill -TERM "$search" 2>/dev/null || true' TERM
# A signal ends the wait, not the search.
while
    told=
    code=0
    wait "$search" || code=$?
    [ -n "$told" ]
do :; done
exit "$code"
