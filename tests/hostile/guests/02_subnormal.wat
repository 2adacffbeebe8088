;; attack: 2
;; tries: to carry the target's number as a subnormal, which prints as zero
;; layer: G2: values are rounded to the grid
;; without: intake, reading floats
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.reinterpret_i64 (call $secret (local.get $columns))))
  (call $ok))
