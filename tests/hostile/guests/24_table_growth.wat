;; attack: 24
;; tries: to leave the target's number as entries of a table
;; layer: §4.2: every unit begins with the tables that the module declares
;; without: fresh instances
;; verdict: same
(table $t 1 funcref)
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.convert_i32_u (i32.sub (table.size $t) (i32.const 1))))
  (drop (table.grow $t (ref.null func) (i32.wrap_i64 (call $secret (local.get $columns)))))
  (call $ok))
