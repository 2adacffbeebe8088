;; attack: 2
;; tries: to carry a bit of the target in the sign of a zero
;; layer: G2: integers have one zero
;; without: intake, reading floats
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.reinterpret_i64 (i64.shl (call $secret (local.get $columns)) (i64.const 63))))
  (call $ok))
