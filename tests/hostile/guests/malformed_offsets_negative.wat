;; attack: malformed
;; tries: to point before the text
;; layer: G2: offsets are not negative
;; without: failures told
;; verdict: default
;; dimension: text
(global $bad (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $bad (i32.wrap_i64 (call $secret (local.get $columns))))
  (i32.store (i32.const 20000) (i32.const 0x6161)) ;; "aa"
  (i32.store (i32.const 20104) (i32.const 2))
  (call $ok))
(func $finish (result i32)
  (drop (call $table))
  (call $text (i32.const 2))
  (if (global.get $bad) (then (i32.store (i32.const 20100) (i32.const -1))))
  (i32.const 1024))
