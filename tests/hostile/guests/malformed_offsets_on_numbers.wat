;; attack: malformed
;; tries: to give numbers offsets
;; layer: G2: numbers have none
;; without: failures told
;; verdict: default
(global $bad (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $bad (i32.wrap_i64 (call $secret (local.get $columns))))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (if (global.get $bad) (then (i32.store (i32.const 2100) (i32.const 1)) (i32.store (i32.const 2108) (i32.const 8))))
  (i32.const 1024))
