;; attack: 24
;; tries: to leave the target's number in memory for the next unit
;; layer: §4.2: memory is zeroed for every unit
;; without: fresh instances
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i64_s (i64.load (i32.const 70000))))
  (i64.store (i32.const 70000) (i64.add (i64.const 1) (call $secret (local.get $columns))))
  (call $ok))
