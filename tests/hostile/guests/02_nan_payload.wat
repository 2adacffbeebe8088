;; attack: 2
;; tries: to carry the target's number in the payload of a NaN
;; layer: G2: NaN is the default, whatever its bits
;; without: intake, reading floats
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.reinterpret_i64 (i64.or (i64.const 0x7ff8000000000000) (call $secret (local.get $columns)))))
  (call $ok))
