;; attack: 15
;; tries: to flood the host with a report of a whole mebibyte, by what was cleared
;; layer: the bytes an outer call may make the host take, in the child and again in the parent
;; without: the limits of an answer
;; verdict: failed
;; room: outer
(memory (export "memory") 32)
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32) (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (call $fine)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $artefact (i32.const 3900) (i32.const 5) (i32.const 65536) (i32.const 1048576))))
  (call $report))
