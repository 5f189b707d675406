/* What the rows of one key say: puts, deletes, fold, compact, import, collection, take-over and strong
 * reads. The store answers truly here (lost answers: log.pml, head.pml).
 *
 * The log is flat: its order is the order of LSNs, a seal ends an epoch. LSN = slot + 1. A row's value
 * is the LSN that wrote it.
 *
 * Checked in every reachable state, with L the newest acknowledged LSN of the key:
 *   NoResurrection  what HEAD, manifest and log say is a row with LSN >= L, or nothing and then a delete
 *                   with LSN >= L exists (or nothing was ever acknowledged);
 *   Strong          so does a strong read, with L as it was when the read began.
 */
#ifndef SLOTS
#define SLOTS 5
#endif
#ifndef JOBS
#define JOBS 3        /* job ids 1 .. JOBS */
#endif
#ifndef EPOCHS
#define EPOCHS 2
#endif
#ifndef OPS
#define OPS 3         /* puts and deletes */
#endif
#define PUT 1
#define DEL 2
#define MARK 3        /* reserves the LSN of an import */
#define SEAL 4
#define BIT(b) (1<<(b))

byte log[SLOTS];                  /* slots as they stand in the store */
byte what[SLOTS+1];               /* by LSN; what owners hold in memory; never collected */
byte ops, acked;                  /* acked: the newest acknowledged LSN */
/* HEAD and its manifest. */
byte version, epoch, fold;
byte parts, stale;                /* sets of jobs: parts, parts whose row of the key is stale */
byte jobs, next_job = 1, imports, compacts, compacted;
byte row[JOBS+1];                 /* the row of the key in the part of a job; 0: none */
byte gone;                        /* parts that were collected */
hidden byte p, q, best;

/* EARLY_MARKER: an import reserves its LSN before it builds its rows and keeps it, and at the commit a live
 * row with a newer LSN wins. Alone it is a fault: a delete that was folded meanwhile has left no row.
 * With HOLD_FOLD it is sound. */

/* Marks the rows of the key in all parts. */
inline mark_stale() {
  for (p : 1 .. JOBS) {
    if
    :: (parts & BIT(p)) && row[p] != 0 &&
#ifdef DROP_TOMBSTONE
       (compacted & BIT(p)) == 0 &&                            /* fault: no mark on what is being compacted */
#endif
       true -> stale = stale | BIT(p)
    :: else
    fi
  }
  p = 0
}

/* best := the newest operation on the key among slots from .. to-1; 0: none. */
inline newest(from, to) {
  best = 0;
  for (p : 1 .. SLOTS) { if :: p > from && p <= to && (what[p] == PUT || what[p] == DEL) -> best = p :: else fi }
  p = 0
}

/* The operation `best` goes into the part of job j. */
inline put_row(j) {
  if
  :: best != 0 -> mark_stale(); if :: what[best] == PUT -> row[j] = best; parts = parts | BIT(j) :: else fi
  :: else
  fi;
  best = 0
}

inline live_row(set, bad) {
  for (p : 1 .. JOBS) { if :: (set & BIT(p)) && (bad & BIT(p)) == 0 && row[p] > best -> best = row[p] :: else fi }
  p = 0
}

/* `best` is the LSN of the newest operation or row that a read found. */
inline judge(at_least) {
  if
  :: best != 0 && what[best] != DEL -> assert(best >= at_least)
  :: else ->
     q = (at_least == 0);
     for (p : 1 .. SLOTS) { if :: p >= at_least && what[p] == DEL -> q = 1 :: else fi }
     p = 0; assert(q); q = 0
  fi;
  best = 0
}

/* `mine`: its epoch. `n`: its next slot. `waiting`: an LSN not acknowledged yet. `fj`, `to`: its fold.
 * `ij`, `mark`, `has`: its import, the LSN it reserved, whether it holds the key. */
proctype Node(bool owner) {
  byte mine, n, i, e, waiting, fj, to, ij, mark, x; bool has, opening;
end: do
  :: atomic { owner && waiting == 0 && ops < OPS && n < SLOTS-1 ->
       if
       :: log[n] == 0 -> ops++; if :: log[n] = PUT :: log[n] = DEL fi; n++; what[n] = log[n-1]; waiting = n
       :: else -> owner = false                                /* fenced */
       fi }
  :: atomic { waiting != 0 -> if :: waiting > acked -> acked = waiting :: else fi; waiting = 0 }

  :: d_step { owner && epoch == mine ->                        /* Strong, at the owner that saw its epoch in HEAD */
       newest(fold, n); if :: best == 0 -> live_row(parts, stale) :: else fi; judge(acked) }

  /* Fold: registers, then commits what lies below `to`. Rebased on the manifest of the moment. */
  :: d_step { owner && fj == 0 && epoch == mine && next_job <= JOBS && fold < n ->
       fj = next_job; next_job++; jobs = jobs | BIT(fj); version++; to = n }
  :: d_step { fj != 0 ->
       if
       :: (jobs & BIT(fj)) && epoch == mine && fold < to &&
#ifdef HOLD_FOLD
          (jobs & imports) == 0 &&                             /* no fold while an import is listed */
#endif
          true ->
          newest(fold, to); put_row(fj); fold = to; version++
       :: else                                                 /* an import folded it already, or another took over */
       fi;
       jobs = jobs & ~BIT(fj); fj = 0; to = 0 }

  /* Import: registers without owning the index. */
  :: atomic { ij == 0 && imports == 0 && next_job <= JOBS ->
       ij = next_job; next_job++; jobs = jobs | BIT(ij); imports = BIT(ij); version++;
       if :: has = true :: has = false fi; x = n }
  :: d_step { owner && ij != 0 && mark == 0 && n < SLOTS-1 ->  /* reserves its LSN */
       if :: log[n] == 0 -> log[n] = MARK; n++; what[n] = MARK; mark = n :: else -> owner = false fi }
#ifndef EARLY_MARKER
  :: d_step { mark != 0 && (!owner || epoch != mine ||
#ifndef STALE_MARKER
       fold >= mark ||                                         /* else a fault: keeps a marker that a fold has passed */
#endif
       false) -> mark = 0 }
#endif
  :: d_step { owner && mark != 0 && epoch == mine &&
#if !defined(STALE_MARKER) && !defined(EARLY_MARKER)
       fold < mark &&
#endif
       (jobs & BIT(ij)) ->
#if defined(OLD_LSN_WINS)
       newest(fold, n);                                        /* fault: over newer entries too */
       if :: !has -> put_row(ij) :: else -> best = 0 fi; fold = n;
#elif defined(MARKER_GAP)
       newest(fold, x); put_row(ij); fold = mark;              /* fault: folds what lay in the log before the marker's turn */
#else
       newest(fold, mark); put_row(ij); if :: fold < mark -> fold = mark :: else fi;
#endif
       best = 0;
#ifdef EARLY_MARKER
       live_row(parts, stale);                                 /* a live row that is newer than the marker wins */
#endif
       if
       :: has && best < mark -> best = 0; mark_stale(); stale = stale & ~BIT(ij); row[ij] = mark; parts = parts | BIT(ij);
          if :: mark > acked -> acked = mark :: else fi
       :: else -> best = 0
       fi;
       jobs = jobs & ~BIT(ij); version++; ij = 0; mark = 0; x = 0; has = false }

  /* Take-over: folds and compactions of older epochs end with it, imports do not. */
  :: d_step { !owner && waiting == 0 && fj == 0 && epoch < EPOCHS-1 ->
       epoch++; mine = epoch; version++; jobs = jobs & imports; opening = true;
#ifndef EARLY_MARKER
       mark = 0;
#endif

       i = fold; e = 0;
       for (p : 1 .. SLOTS) { if :: p <= i && what[p] == SEAL -> e++ :: else fi }
       p = 0 }
  :: d_step { opening && e < mine && i < SLOTS ->              /* seal and replay */
       if
       :: log[i] == 0 -> log[i] = SEAL; what[i+1] = SEAL
       :: log[i] == SEAL -> e++; i++
       :: else -> i++
       fi }
  :: d_step { opening && e == mine ->
       if :: epoch == mine -> version++; owner = true; n = i :: else fi;
       opening = false; i = 0; e = 0 }
  od
}

/* Rewrites the live rows of a snapshot into one part. */
proctype Compactor() {
  byte cj, mine, from, bad;
end: do
  :: d_step { cj == 0 && compacts == 0 && next_job <= JOBS && parts != 0 ->
       compacts = 1; cj = next_job; next_job++; jobs = jobs | BIT(cj); version++; mine = epoch;
       from = parts; bad = stale; compacted = from; best = 0;
       live_row(from, bad); row[cj] = best; best = 0 }
  :: d_step { cj != 0 ->
       if
       :: (jobs & BIT(cj)) && epoch == mine &&
#ifndef OLD_BASE
          parts == from && stale == bad &&                     /* else a fault: commits on an old base */
#endif
          true ->
          parts = parts & ~from; stale = stale & ~from;
          if :: row[cj] != 0 -> parts = parts | BIT(cj) :: else fi;
          version++
       :: else -> row[cj] = 0                                  /* its part is nobody's */
       fi;
       jobs = jobs & ~BIT(cj); cj = 0; from = 0; bad = 0; mine = 0; compacted = 0 }
  od
}

/* Acts on HEAD as it stands: what an older view allows to delete, the present one allows too, since
 * the fold pointer and the set of dead jobs only grow (head.pml has old views). */
proctype Collector() {
  byte i;
end: do
  :: atomic { select(i : 0 .. SLOTS-1);
       if :: i < fold && log[i] != SEAL -> log[i] = 0 :: else fi; i = 0 }
  :: atomic { select(i : 1 .. JOBS);
       if :: i < next_job && ((jobs | parts) & BIT(i)) == 0 -> gone = gone | BIT(i) :: else fi; i = 0 }
  od
}

/* A strong read by a node that does not own the index. */
proctype Reader() {
  byte least, held, set, bad, i, tail;
  atomic { least = acked }
again:
  atomic { held = version; set = parts; bad = stale; i = fold; tail = 0 }
  do
  :: atomic { i < SLOTS ->
       if
       :: log[i] == 0 -> break
       :: log[i] != 0 -> if :: log[i] == PUT || log[i] == DEL -> tail = i+1 :: else fi; i++
       fi }
  :: i == SLOTS -> break
  od;
  if
  :: set & gone -> assert(held != version); goto again         /* a part is missing: HEAD must have moved */
  :: else
  fi;
  if
  :: held != version -> goto again
  :: else
  fi;
  d_step { best = tail; if :: best == 0 -> live_row(set, bad) :: else fi; judge(least) }
}

/* Changes no state, so it costs steps and no states. */
proctype Monitor() {
end: do
  :: d_step {
       assert((parts & gone) == 0);
       newest(fold, SLOTS); if :: best == 0 -> live_row(parts, stale) :: else fi; judge(acked)
     }
  od
}

init { atomic {
  run Node(true); run Node(false); run Compactor();
#ifdef READER
  run Collector(); run Reader();
#endif
  run Monitor();
} }
