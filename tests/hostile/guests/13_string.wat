;; attack: 13
;; tries: to say the target's number in words, as a key
;; layer: G0: keys outside the declared domain are dropped
;; without: intake, reading text
;; verdict: same
;; dimension: text
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (i32.store (i32.const 20000) (i32.add (i32.const 0x3030) (i32.wrap_i64 (call $secret (local.get $columns))))) ;; "00", "10"
  (i32.store (i32.const 20104) (i32.const 2))
  (call $ok))
(func $finish (result i32) (drop (call $table)) (call $text (i32.const 2)) (i32.const 1024))
