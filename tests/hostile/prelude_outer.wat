;; What a guest of an outer room shares beside prelude.wat: one that has no inner room
;; of its own answers there as if nobody had said anything.
;; The first number that was cleared.
(func $cleared (param $columns i32) (result i64)
  (i64.trunc_sat_f64_s (f64.load (i32.load offset=28 (local.get $columns)))))
;; `ok` of `bytes` bytes at `at`: the next state.
(func $state (param $at i32) (param $bytes i32) (result i32)
  (i32.store (i32.const 3000) (i32.const 0))
  (i32.store (i32.const 3004) (local.get $at))
  (i32.store (i32.const 3008) (local.get $bytes))
  (i32.const 3000))
;; One artefact more, at 3100: where its name and its bytes lie.
(global $sent (mut i32) (i32.const 0))
(func $artefact (param $name i32) (param $letters i32) (param $at i32) (param $bytes i32) (local $entry i32)
  (local.set $entry (i32.add (i32.const 3100) (i32.mul (global.get $sent) (i32.const 16))))
  (i32.store (local.get $entry) (local.get $name))
  (i32.store offset=4 (local.get $entry) (local.get $letters))
  (i32.store offset=8 (local.get $entry) (local.get $at))
  (i32.store offset=12 (local.get $entry) (local.get $bytes))
  (global.set $sent (i32.add (global.get $sent) (i32.const 1))))
;; The report: `ok` of all of them.
(func $report (result i32) (call $state (i32.const 3100) (global.get $sent)))
;; An honest name and a word, for guests whose mischief is elsewhere.
(data (i32.const 3900) "a.txtfine")
(func $fine (call $artefact (i32.const 3900) (i32.const 5) (i32.const 3905) (i32.const 4)))
(func $update (export "sluice:job/outer-room@0.1.0#update")
  (param $round i32) (param $state i32) (param $bytes i32) (param $rows i32) (param $columns i32) (param $count i32)
  (result i32)
  (call $updated (local.get $columns)))
(func $compose (export "sluice:job/outer-room@0.1.0#compose")
  (param $state i32) (param $bytes i32) (param $tables i32) (param $count i32) (result i32)
  (call $composed (i32.load offset=12 (local.get $tables))))
