;; attack: malformed
;; tries: to hand in an empty bitmap
;; layer: G2: a bitmap has a bit for each row
;; without: failures told
;; verdict: default
(global $bad (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $bad (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (if (global.get $bad) (then (call $validity (i32.const 1) (i32.const 0) (i32.const 0))))
  (i32.const 1024))
