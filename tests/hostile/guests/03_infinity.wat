;; attack: 3
;; tries: to make the sum infinite, or NaN for everybody, by one unit's infinity
;; layer: §4.5: saturation to the grid, then sum, then clamp
;; without: the clamp
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.div (f64.const -1) (f64.sub (f64.const 1) (f64.convert_i64_s (call $secret (local.get $columns))))))
  (call $ok))
