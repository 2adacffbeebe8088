;; attack: 30
;; tries: to say a bit by the order of additions that floating point rounds differently
;; layer: §4.5: sums of integers have no order
;; without: integer sums
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (if (i64.eqz (call $secret (local.get $columns)))
    (then (call $row (i64.const 0) (f64.const 1e17)) (call $row (i64.const 0) (f64.const -1e17)) (call $row (i64.const 0) (f64.const 1)))
    (else (call $row (i64.const 0) (f64.const 1)) (call $row (i64.const 0) (f64.const 1e17)) (call $row (i64.const 0) (f64.const -1e17))))
  (call $ok))
