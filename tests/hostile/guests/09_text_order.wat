;; attack: 9
;; tries: to say a bit by the order in which texts lie in their buffer, as a dictionary would
;; layer: G2: offsets must rise from 0 to the end, so there is one order
;; without: intake, reading text
;; verdict: default
;; dimension: text
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (i32.store (i32.const 20000) (i32.const 0x62626161)) ;; "aabb"
  (i32.store (i32.const 20104) (i32.const 2))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (i32.store (i32.const 20000) (i32.const 0x61616262)) ;; "bbaa", and aa is at 2..4
    (i32.store (i32.const 20100) (i32.const 2))
    (i32.store (i32.const 20104) (i32.const 4))))
  (call $ok))
(func $finish (result i32) (drop (call $table)) (call $text (i32.const 2)) (i32.const 1024))
