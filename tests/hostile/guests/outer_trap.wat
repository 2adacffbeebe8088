;; attack: 16
;; tries: to end the run by trapping on what was cleared
;; layer: an outer guest that fails leaves a mark; the run and its tables stand
;; without: failures as marks
;; verdict: failed
;; room: outer
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1)) (then (unreachable)))
  (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1)) (then (unreachable)))
  (call $fine)
  (call $report))
