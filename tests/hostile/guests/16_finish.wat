;; attack: 16
;; tries: to end early: `finish` traps after the rows were seen
;; layer: §4.4: a unit that fails is its default and changes nothing else
;; without: failures told
;; verdict: default
(global $end (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $end (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32) (if (global.get $end) (then (unreachable))) (call $table))
