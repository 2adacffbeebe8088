;; attack: 20
;; tries: to say the target's number in the text of an error
;; layer: G1: the text of a guest's error is dropped in the child
;; without: error texts told
;; verdict: default always
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (i32.store (i32.const 20000) (i32.add (i32.const 0x30) (i32.wrap_i64 (call $secret (local.get $columns)))))
  (call $fail (i32.const 20000) (i32.const 1)))
