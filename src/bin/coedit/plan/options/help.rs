//! What `coedit plan --help` says after the options.

pub(super) const AFTER_HELP: &str = "\
Three questions that people ask first:
  How many connections for N users?
    coedit plan --users 800 --docs-per-user 1.3 --concurrent 30%..36%
  What does my log say?
    coedit plan --trace access.log --utc-offset +02:00
  What if I buy only M?
    coedit plan --users 800 --docs-per-user 1.3 --concurrent 1/3 --limit 200
    coedit plan --connections 200 --docs-per-user 1.3 --concurrent 1/3
    coedit plan --trace access.log --limit 200

The JSON object has these members. All times are in UTC (ISO 8601). A member is absent where there is nothing to say.
  target      the share of opens that may fall back: the first --share
  load        how many connections are open on average in the busiest hour, if none is refused
  crowd, trace  where the load comes from; stays are in minutes
  warnings    why the answers may be wrong
  notes       what is odd in a trace
  answers     the limit that each method gives (by: erlang-b, engset, observed, thumb, thumb-all-at-work, limit; thumb is
              the rule of thumb)
  limits      limits from 0 up. Each answer and each limit has `connections` and the share of opens that fall back:
              `erlang_b`, `engset` if the number of users is known, `engset_staying` if refused users stay as viewers
              (only in the limits of the table), and for a trace `observed`, with the number of `fallbacks`
  staying     the limit that is enough if refused users stay as viewers
  cautions    how many connections are enough if (tabs-open-together, refused-come-back, refused-ask-again, days-vary)
  targets     for several --share: each `target` with its `answers` (by: observed, erlang-b, engset, engset-staying)
  range       for a range of --concurrent: the `low` and the `high` number of connections by each formula
  servers     for --servers: the connections of `each`, of all `together`, and of `one` server for all
  growth      for --growth: the `month` in which each answer is too low; 0 is now, null is not within the months
  prices      for --price-connection: the `cost` of each answer; `named_users` has their `cost` and the `break_even`
  under       for a trace, under the first answer and each --limit: `worst_hour`, `worst_day`, `users_hit`,
              `view_only_peak` (connections), `view_only_minutes`, `view_only_sum_minutes` (two at once count twice)
  weeks       for a trace: the limits from `low` to `high` that are enough in 95 % of the weeks drawn from its `days`
  what_if     for --idle and --document-connections: the `fallbacks` of a replay, by reason, under each limit
With --connections the object has `users`: for each target and share at work, how many by `erlang_b` and by `engset`. With
--burst it has `connections`, which are enough for all, and in `under` the `refused` users of each --limit.";
