;; attack: 15
;; tries: to hand on a state of a whole mebibyte, which every unit of the next round would have to be given
;; layer: the bytes an outer call may make the host take: the state stays as it was
;; without: the limits of an answer
;; verdict: failed
;; room: outer
(memory (export "memory") 32)
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32)
  (if (result i32) (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $state (i32.const 65536) (i32.const 1048576)))
    (else (call $state (i32.const 3905) (i32.const 4)))))
(func $composed (param $columns i32) (result i32) (call $fine) (call $report))
