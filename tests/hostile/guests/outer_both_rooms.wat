;; attack: 23
;; tries: to keep the target's number in the inner room and to say it in the outer one, as one component for both
;; layer: each room is a process and an instance of its own; what passes between them was cleared
;; without: rooms apart
;; verdict: same
;; room: both
(global $kept (mut i64) (i64.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.const 1))
  (if (i64.ne (call $secret (local.get $columns)) (i64.const 0))
    (then (global.set $kept (call $secret (local.get $columns)))))
  (call $ok))
(func $updated (param $columns i32) (result i32)
  (i64.store (i32.const 3950) (global.get $kept))
  (call $state (i32.const 3950) (i32.const 8)))
(func $composed (param $columns i32) (result i32)
  (i32.store8 (i32.const 3960) (i32.add (i32.const 48) (i32.wrap_i64 (global.get $kept))))
  (call $artefact (i32.const 3900) (i32.const 5) (i32.const 3960) (i32.const 1))
  (call $report))
