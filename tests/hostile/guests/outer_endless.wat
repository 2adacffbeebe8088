;; attack: 17
;; tries: to keep the host waiting for ever after a round, by what was cleared
;; layer: outer_fuel of the contract; the tick counts it in whether it is used or not
;; without: the fuel
;; verdict: failed
;; room: outer
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32)
  (loop $again (br_if $again (i64.eq (call $cleared (local.get $columns)) (i64.const 1))))
  (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32) (call $fine) (call $report))
