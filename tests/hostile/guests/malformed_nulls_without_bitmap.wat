;; attack: malformed
;; tries: to claim a null without a bitmap
;; layer: G2: nulls are counted
;; without: failures told
;; verdict: default
(global $bad (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $bad (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (if (global.get $bad) (then (i32.store (i32.const 2084) (i32.const 1))))
  (i32.const 1024))
