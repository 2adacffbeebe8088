;; attack: 31
;; tries: to sum a measure over one person only: everybody else contributes zero
;; layer: G8: noise as wide as one person's whole range
;; without: the noise
;; verdict: bounded
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i64_s (call $secret (local.get $columns))))
  (call $ok))
