;; attack: 24
;; tries: to leave the target's number as pages of memory
;; layer: §4.2: every unit begins with the memory that the module declares
;; without: fresh instances
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i32_u (i32.sub (memory.size) (i32.const 2))))
  (drop (memory.grow (i32.wrap_i64 (call $secret (local.get $columns)))))
  (call $ok))
