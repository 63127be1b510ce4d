"""The same search by six tools, under the same budget: ``python -m benchmarks.peers --features-csv FILE``.

Everybody gets: the published feature table, the same five folds of each seed (the locked test is cut off
before), the same score (accuracy of the pooled out-of-fold predictions, by track, after each epoch of all
folds), two worker processes of one thread each, and the same seconds of wall clock, which start before the
first import and are enforced from outside, on the peer's own process group. At most 100 epochs a trial, but
for the grid's. On a machine that does other work too, ``--clock processor`` budgets and counts the processor
time of the peer's whole process tree instead; waiting is free then, which favours those that wait.

The space (`benchmarks.peers.space`) is this harness's own for `features_mlp`, without `mixup`, which Keras
has for pictures alone, and `averaging`, which is an optimizer's option of Keras's (``use_ema``) by the step
and not by the epoch: it is the same for all but the grid and the harness as it is shipped. `harness-bare` is
therefore the row that compares searches, `harness` the one that compares what a user gets. The BASELINE is
the first trial wherever a tool takes starting points.

What each is given, and why:

- ``harness``: `search.api.run_search` as it is shipped (TPE, ASHA, a quarter of the epochs as grace), with
  `mixup` and `averaging`, and with the family's portfolio, found on other recordings, after the BASELINE.
- ``harness-bare``: the same without either: the others' space, and their start.
- ``grid``: the grid that is widely copied from tutorials, on the published network: 54 configurations (2
  optimizers, 3 initialisations, 50, 100 or 150 epochs, batches of 5, 10 or 20), five folds each, by plain
  ``Model.fit`` on arrays, scored at the end. Two processes share it, as ``n_jobs=2`` would.
- ``keras-tuner``: Hyperband with its defaults (factor 3), `run_trial` overridden for cross-validation, and
  the distributed mode of its guide: a chief and two workers. It goes on with a promoted trial's weights, and
  each promotion counts as a trial. It takes no starting points. How long a trial is trained is its own to
  say, so `epochs` is no parameter here and schedules span 100.
- ``optuna``: TPE as this harness has it (multivariate, by groups of conditions, with the constant liar that
  its documentation advises for parallel workers), and `HyperbandPruner` from 1 to 100 epochs, by two
  processes on one journal, as it advises in place of threads. Each of the pruner's five brackets begins with
  ten random trials, of which its documentation warns: in so short a search most are.
- ``syne-tune``: `ASHA` with its defaults on `LocalBackend`, two workers; the tuner polls each 0.2 s rather
  than each 5. A trial is a process. Its spaces have no conditions, so a parameter that a configuration does
  not use is drawn and ignored.
- ``ray-tune``: a function trainable that calls `tune.report` after each epoch, `OptunaSearch`,
  `ASHAScheduler(max_t=100)`, as its user guides show, with the sampler that is the default. A trial is a
  process.

All peers but the grid train by `benchmarks.peers.network`, which does more for them than their guides ask:
folds advance epoch by epoch together, so that early stopping judges all of them; `tf.data` is cached, an
epoch is one execution (``steps_per_execution``), and the model is compiled once a trial and not once a fold.
Scaled tables are made before the clock starts. The harness's scores count when its driver hears of them, the
peers' as soon as they are known in the trial.
"""
