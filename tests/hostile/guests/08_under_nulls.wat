;; attack: 8
;; tries: to leave the target's number in the bytes under a null
;; layer: G2: bytes under nulls are not read
;; without: intake, reading floats
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i64_s (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (call $validity (i32.const 1) (i32.const 1) (i32.const 0))
  (i32.const 1024))
