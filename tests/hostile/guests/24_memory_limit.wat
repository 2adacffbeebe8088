;; attack: 24
;; tries: to take more memory than the contract reserves, and to say whether it got it
;; layer: §4.4: the same memory for every unit: growth stops at the limit
;; without: the memory limit
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then
    ;; 16 MiB, if they are to be had.
    (if (i32.ne (memory.grow (i32.const 256)) (i32.const -1)) (then (call $row (i64.const 0) (f64.const 1))))))
  (call $ok))
