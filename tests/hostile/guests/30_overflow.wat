;; attack: 30
;; tries: to overflow the sum of one unit's rows, which wraps or ends the host
;; layer: §4.5: sums in i128
;; without: wide sums
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (call $row (i64.const 0) (f64.const 1e300))
    (call $row (i64.const 0) (f64.const 1e300))))
  (call $ok))
