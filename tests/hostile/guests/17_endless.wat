;; attack: 17
;; tries: to keep the host waiting for ever
;; layer: §4.4: the same fuel for every unit
;; without: the fuel
;; verdict: default
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then (loop $ever (br $ever))))
  (call $ok))
