;; attack: 3, 29
;; tries: to drown everybody else's contribution in one value far out of range
;; layer: §4.5: sum, then clamp
;; without: the clamp
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.add (f64.const 1) (f64.mul (f64.const 1e300) (f64.convert_i64_s (call $secret (local.get $columns))))))
  (call $ok))
