;; attack: 1
;; tries: to carry a bit of the target in the lowest bits of a sum
;; layer: G2: values are rounded to the grid
;; without: intake, reading floats
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.add (f64.const 1) (f64.mul (f64.const 0x1p-40) (f64.convert_i64_s (call $secret (local.get $columns))))))
  (call $ok))
