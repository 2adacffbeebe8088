;; attack: 24
;; tries: to keep what a round cleared in its memory, and so to have a state that nobody sees
;; layer: a fresh instance for every question: what passes from round to round is the recorded state
;; without: fresh instances
;; verdict: same
;; room: outer
(global $kept (mut i64) (i64.const 0))
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32)
  (global.set $kept (call $cleared (local.get $columns)))
  (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (i32.store8 (i32.const 3960) (i32.add (i32.const 48) (i32.wrap_i64 (global.get $kept))))
  (call $artefact (i32.const 3900) (i32.const 5) (i32.const 3960) (i32.const 1))
  (call $report))
