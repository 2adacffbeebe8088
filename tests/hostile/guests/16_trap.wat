;; attack: 16
;; tries: to say a bit by trapping
;; layer: §4.4: a unit that fails is its default and changes nothing else
;; without: failures told
;; verdict: default
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0)) (then (unreachable)))
  (call $ok))
