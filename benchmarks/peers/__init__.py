"""The same search by six tools with the same time limit: ``python -m benchmarks.peers --features-csv FILE``.

Every peer gets:

- the published feature table and the same five folds per seed; the locked test set is removed before;
- the same score: the accuracy of the pooled out-of-fold predictions, by track, after each epoch of all folds;
- two worker processes with one thread each;
- the same seconds of wall clock. They start before the first import and are enforced from outside, on the
  peer's own process group;
- at most 100 epochs per trial, except for the grid.

On a machine that also does other work, use ``--clock processor``. It limits and counts the processor time of
the peer's whole process tree instead. Waiting is then free, which favours peers that wait a lot.

All peers except the grid search one space (`benchmarks.peers.space`): the space of `features_mlp` without
`mixup` and `averaging`. Keras offers `mixup` for images only, and averages weights per step (``use_ema``) and
not per epoch. The harness as shipped also searches these two. Compare search methods by the row
`harness-bare`, and what a user gets by the row `harness`. The BASELINE is the first trial wherever a tool
accepts starting points.

The settings of each peer, with the reasons:

- ``harness``: `search.api.run_search` as shipped (TPE, ASHA with a quarter of the epochs as grace period),
  with `mixup` and `averaging`. After the BASELINE it tries the family's portfolio, which was chosen on other
  recordings.
- ``harness-bare``: the same search without the two parameters and the portfolio. Space and start are those of
  the other tools.
- ``grid``: a grid that is widely copied from tutorials, on the published network. It has 54 configurations (2
  optimizers, 3 initialisations, 50, 100 or 150 epochs, batches of 5, 10 or 20), five folds each. It trains by
  plain ``Model.fit`` on arrays and scores each configuration at its end. Two processes share it, as with
  ``n_jobs=2``.
- ``keras-tuner``: Hyperband with its defaults (factor 3), `run_trial` overridden for cross-validation, in the
  distributed mode of its guide: a chief and two workers. A promoted trial resumes from its weights, and each
  promotion counts as a trial. Hyperband accepts no starting points. Hyperband sets the length of a trial, so
  `epochs` is not a parameter here, and schedules span 100 epochs.
- ``optuna``: TPE with this harness's settings (multivariate, grouped by conditions, with the constant liar
  that Optuna's documentation recommends for parallel workers), and `HyperbandPruner` from 1 to 100 epochs.
  Two processes share a journal, as the documentation recommends instead of threads. Each of the pruner's five
  brackets begins with ten random trials, so that most trials of such a short search are random. The
  documentation warns about this.
- ``syne-tune``: `ASHA` with its defaults on `LocalBackend`, with two workers. The tuner polls every 0.2 s
  instead of every 5 s. A trial is a process. Its spaces have no conditions, so parameters that a
  configuration does not use are drawn and ignored.
- ``ray-tune``: a function trainable that calls `tune.report` after each epoch, `OptunaSearch` with its
  default sampler, and `ASHAScheduler(max_t=100)`, as in Ray's user guides. A trial is a process.

All peers except the grid and the harness train by `benchmarks.peers.network`, which does more than their
guides ask for. Folds advance epoch by epoch together, so that early stopping evaluates all of them. `tf.data`
is cached, and an epoch is one execution (``steps_per_execution``). The model is compiled once per trial
instead of once per fold. The scaled tables are computed before the clock starts. A score of the harness
counts when its driver receives it; a score of another peer counts when the trial computes it.
"""
