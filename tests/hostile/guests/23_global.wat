;; attack: 23
;; tries: to keep the target's number in a global and say it as the next unit's contribution
;; layer: §4.2: a fresh instance for every unit
;; without: fresh instances
;; verdict: same
(global $kept (mut i64) (i64.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i64_s (global.get $kept)))
  (global.set $kept (i64.add (i64.const 1) (call $secret (local.get $columns))))
  (call $ok))
