;; attack: 10
;; tries: to leave bytes in the text buffer that no row refers to, as an unused dictionary value would
;; layer: G2: the last offset is the end of the buffer
;; without: intake, reading text
;; verdict: default
;; dimension: text
(global $tail (mut i32) (i32.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (global.set $tail (i32.wrap_i64 (call $secret (local.get $columns))))
  (i32.store (i32.const 20000) (i32.const 0x53536161)) ;; "aaSS"
  (i32.store (i32.const 20104) (i32.const 2))
  (call $ok))
(func $finish (result i32) (drop (call $table)) (call $text (i32.add (i32.const 2) (global.get $tail))) (i32.const 1024))
