;; attack: import
;; tries: to take randomness from WASI, so that two runs differ
;; layer: a guest imports nothing; inspected before it is compiled
;; without: the empty linker
;; verdict: refused guest.import
;; host: wasi:random/random@0.2.0 get-random-u64: func() -> u64;
(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then (drop (call $random))))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
