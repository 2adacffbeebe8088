;; attack: 7
;; tries: to say a bit by whether a value is null or zero
;; layer: G2: a null is the default
;; without: intake, reading nulls
;; verdict: same
(global $null (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 0))
  (global.set $null (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (if (global.get $null) (then (call $validity (i32.const 1) (i32.const 1) (i32.const 0))))
  (i32.const 1024))
