#!/usr/bin/env bash
# Run a search on the nodes of one batch job:
#   sbatch --nodes 4 --gpus-per-node 1 deploy/slurm.sh --family melspec_cnn --gpus-per-trial 0.5 \
#       --cache /shared/cache --runs /shared/runs
# All arguments after the script's name are passed to search.run. Submit it from the project's top folder, which
# must be on a file system that all nodes share, with its .venv.
#SBATCH --job-name=genre-search
#SBATCH --tasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
# The search saves its state on SIGTERM and can be resumed: send the signal before the time limit.
#SBATCH --signal=B:TERM@120
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token
# One token per job, readable by its owner only, so that other users of the machines have no access.
mkdir -p ~/.ray
RAY_AUTH_TOKEN_PATH=$(mktemp ~/.ray/job-token-XXXXXX)
export RAY_AUTH_TOKEN_PATH
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
# Other jobs may share the machine: limit Ray to this job's allocation instead of all that it detects.
allocated=(--num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats --block)

# Since Slurm 22.05, a step does not inherit --cpus-per-task. Without this variable it would get one core.
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

srun --nodes=1 --ntasks=1 --overlap -w "$head" \
    ray start --head --node-ip-address="$head" --port="$port" --include-dashboard=false "${allocated[@]}" &
for _ in $(seq 60); do
    ray health-check --address "$head:$port" >/dev/null 2>&1 && break
    sleep 2
done
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --overlap -w "$node" ray start --address="$head:$port" "${allocated[@]}" &
done

python -m search.run --address "$head:$port" "$@" &
search=$!
trap 'kill -TERM "$search" 2>/dev/null || true' TERM
status=0
wait "$search" || status=$?
# A trapped signal ends the first wait while the search is still saving its state.
if kill -0 "$search" 2>/dev/null; then
    status=0
    wait "$search" || status=$?
fi
exit "$status"
