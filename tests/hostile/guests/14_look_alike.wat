;; attack: 14
;; tries: to say a bit by a declared key's look-alike: fullwidth and Cyrillic letters
;; layer: G0: keys are compared byte for byte
;; without: intake, reading text
;; verdict: same
;; dimension: text
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (i32.store (i32.const 20000) (i32.const 0xb0d0b0d0))     ;; "аа", Cyrillic
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    (i32.store (i32.const 20000) (i32.const 0x61b0d061)))) ;; "aаa", one of them
  (i32.store (i32.const 20104) (i32.const 4))
  (call $ok))
(func $finish (result i32) (drop (call $table)) (call $text (i32.const 4)) (i32.const 1024))
