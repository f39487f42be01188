/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/map.h"
#include "tree_dump.h"

struct item {
    struct zks__link link;
    unsigned seen;
};

enum { MANY = 5000 };

static struct item items[MANY];

struct fixture {
    struct heap heap;
    struct zks__map map;
};

static void begin(struct fixture *f)
{
    memset(items, 0, sizeof items);
    heap_init(&f->heap);
    memset(&f->map, 0, sizeof f->map);
    assert_true(zks__map_init(&f->map, &f->heap.mem));
}

static void end(struct fixture *f)
{
    zks__map_close(&f->map);
    assert_int_equal(f->heap.blocks, 0);
}

static bool power_of_two(size_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static bool is_in(const struct zks__map *map, const struct item *item, uint64_t hash)
{
    size_t found = 0;
    for (struct zks__link *l = zks__map_first(map, hash); l != NULL; l = zks__map_next(l)) {
        assert_true(l->hash == hash);
        found += l == &item->link;
    }
    assert_true(found <= 1);
    return found == 1;
}

/* How long the longest chain is: a hash that the buckets do not suit makes a list of the table. */
static size_t longest(const struct zks__map *map)
{
    size_t most = 0;
    for (size_t i = 0; i < map->n_buckets; i++) {
        size_t n = 0;
        for (const struct zks__link *l = map->buckets[i]; l != NULL; l = l->next) {
            n++;
        }
        most = n > most ? n : most;
    }
    return most;
}

static void test_empty(void **state)
{
    (void)state;
    struct fixture f;
    struct zks__map zeros;
    size_t bucket = 0;
    memset(&zeros, 0, sizeof zeros);
    zks__map_close(&zeros);
    begin(&f);
    assert_true(power_of_two(f.map.n_buckets));
    assert_int_equal(f.map.n, 0);
    assert_null(zks__map_first(&f.map, 0));
    assert_null(zks__map_first(&f.map, UINT64_MAX));
    assert_null(zks__map_each(&f.map, &bucket, NULL));
    bucket = 0;
    assert_null(zks__map_take(&f.map, &bucket));
    end(&f);
}

static void test_no_memory_to_begin_with(void **state)
{
    (void)state;
    struct heap heap;
    struct zks__map map;
    heap_init(&heap);
    heap.dry = true;
    memset(&map, 0, sizeof map);
    assert_false(zks__map_init(&map, &heap.mem));
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(heap.refused, 1);
}

static void test_growth(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    size_t at_first = f.map.n_buckets;
    for (unsigned i = 0; i < MANY; i++) {
        zks__map_add(&f.map, &items[i].link, zks__hash_number(i));
        assert_int_equal(f.map.n, i + 1);
        assert_true(power_of_two(f.map.n_buckets));
    }
    assert_true(f.map.n_buckets > at_first);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(is_in(&f.map, &items[i], zks__hash_number(i)));
    }
    assert_null(zks__map_first(&f.map, zks__hash_number(MANY)));
    for (unsigned i = 0; i < MANY; i += 2) {
        zks__map_remove(&f.map, &items[i].link);
    }
    assert_int_equal(f.map.n, MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(is_in(&f.map, &items[i], zks__hash_number(i)), i % 2);
    }
    /* With the rest still in it. */
    end(&f);
}

/* What is gone needs no buckets.  Where there is no memory for fewer there are as many as before. */
static void test_shrinking(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    size_t at_first = f.map.n_buckets;
    size_t bytes = f.heap.bytes;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            zks__map_add(&f.map, &items[i].link, zks__hash_number(i));
        }
        size_t most = f.map.n_buckets;
        f.heap.dry = round == 0;
        for (unsigned i = 0; i < MANY - 3; i++) {
            zks__map_remove(&f.map, &items[i].link);
            assert_true(power_of_two(f.map.n_buckets));
            assert_true(round == 0 || f.map.n_buckets <= at_first ||
                        f.map.n_buckets <= 8 * f.map.n);
        }
        assert_int_equal(f.map.n_buckets, round == 0 ? most : at_first);
        f.heap.dry = false;
        for (unsigned i = 0; i < MANY; i++) {
            assert_int_equal(is_in(&f.map, &items[i], zks__hash_number(i)), i >= MANY - 3);
        }
        for (unsigned i = MANY - 3; i < MANY; i++) {
            zks__map_remove(&f.map, &items[i].link);
        }
    }
    assert_int_equal(f.map.n_buckets, at_first);
    assert_int_equal(f.heap.bytes, bytes);
    end(&f);
}

/* Several of one hash are told apart by whoever asks, wherever in the chain one goes. */
static void test_same_hash(void **state)
{
    (void)state;
    struct fixture f;
    for (unsigned gone = 0; gone < 5; gone++) {
        begin(&f);
        for (unsigned i = 0; i < 5; i++) {
            zks__map_add(&f.map, &items[i].link, 77);
        }
        zks__map_remove(&f.map, &items[gone].link);
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(is_in(&f.map, &items[i], 77), i != gone);
        }
        zks__map_add(&f.map, &items[gone].link, 77);
        for (unsigned i = 0; i < 5; i++) {
            assert_true(is_in(&f.map, &items[i], 77));
        }
        end(&f);
    }
}

/* Other hashes of the same bucket are passed over. */
static void test_same_bucket(void **state)
{
    (void)state;
    static const unsigned shifts[] = {0, 5, 13, 32, 52};
    struct fixture f;
    for (size_t s = 0; s < COUNT(shifts); s++) {
        begin(&f);
        for (unsigned i = 0; i < 2000; i++) {
            /* Each hash three times, once next to another one. */
            zks__map_add(&f.map, &items[i].link, (uint64_t)(i / 3) << shifts[s]);
        }
        for (unsigned i = 0; i < 2000; i += 7) {
            zks__map_remove(&f.map, &items[i].link);
        }
        for (unsigned i = 0; i < 2000; i++) {
            assert_int_equal(is_in(&f.map, &items[i], (uint64_t)(i / 3) << shifts[s]), i % 7 != 0);
        }
        assert_null(zks__map_first(&f.map, (uint64_t)2000 << shifts[s]));
        end(&f);
    }
}

static void test_iteration(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 2, 15, 16, 17, 1000};
    struct fixture f;
    for (size_t c = 0; c < COUNT(counts); c++) {
        for (unsigned same = 0; same < 2; same++) {
            begin(&f);
            for (unsigned i = 0; i < counts[c]; i++) {
                zks__map_add(&f.map, &items[i].link, same ? 5 : zks__hash_number(i));
            }
            struct zks__link *link = NULL;
            size_t bucket = 0;
            while ((link = zks__map_each(&f.map, &bucket, link)) != NULL) {
                ((struct item *)link)->seen++;
            }
            for (unsigned i = 0; i < counts[c]; i++) {
                assert_int_equal(items[i].seen, 1);
            }
            end(&f);
        }
    }
}

static void test_emptying(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (unsigned i = 0; i < 1000; i++) {
        zks__map_add(&f.map, &items[i].link, i % 10 == 0 ? 3 : zks__hash_number(i));
    }
    struct zks__link *link;
    size_t bucket = 0;
    size_t left = 1000;
    while ((link = zks__map_take(&f.map, &bucket)) != NULL) {
        ((struct item *)link)->seen++;
        assert_int_equal(f.map.n, --left);
    }
    assert_int_equal(left, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(items[i].seen, 1);
    }
    /* It is good for more. */
    zks__map_add(&f.map, &items[0].link, 3);
    assert_true(is_in(&f.map, &items[0], 3));
    end(&f);
}

/* Growing is for speed only. */
static void test_growth_without_memory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    size_t at_first = f.map.n_buckets;
    f.heap.dry = true;
    for (unsigned i = 0; i < 1000; i++) {
        zks__map_add(&f.map, &items[i].link, zks__hash_number(i));
    }
    assert_true(f.heap.refused > 0);
    assert_int_equal(f.map.n_buckets, at_first);
    assert_int_equal(f.map.n, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(is_in(&f.map, &items[i], zks__hash_number(i)));
    }
    f.heap.dry = false;
    for (unsigned i = 1000; i < 2000; i++) {
        zks__map_add(&f.map, &items[i].link, zks__hash_number(i));
    }
    assert_true(f.map.n_buckets > at_first);
    for (unsigned i = 0; i < 2000; i++) {
        assert_true(is_in(&f.map, &items[i], zks__hash_number(i)));
    }
    assert_true(longest(&f.map) < 16);
    end(&f);
}

static void test_random(void **state)
{
    (void)state;
    struct fixture f;
    bool in[500] = {false};
    uint64_t hash[500] = {0};
    uint64_t seed = 3;
    size_t n = 0;
    begin(&f);
    for (unsigned round = 0; round < 50000; round++) {
        unsigned i = unit_below(&seed, COUNT(in));
        f.heap.dry = unit_below(&seed, 3) == 0;
        if (in[i]) {
            assert_true(is_in(&f.map, &items[i], hash[i]));
            zks__map_remove(&f.map, &items[i].link);
            n--;
        } else {
            hash[i] = unit_below(&seed, 4) == 0 ? unit_below(&seed, 3) : unit_random(&seed);
            zks__map_add(&f.map, &items[i].link, hash[i]);
            n++;
        }
        in[i] = !in[i];
        assert_int_equal(is_in(&f.map, &items[i], hash[i]), in[i]);
        assert_int_equal(f.map.n, n);
    }
    for (unsigned i = 0; i < COUNT(in); i++) {
        assert_int_equal(is_in(&f.map, &items[i], hash[i]), in[i]);
    }
    end(&f);
}

/* What is hashed here: session numbers, which differ in their middle bits, and sequential names. */
static void test_hashes_spread(void **state)
{
    (void)state;
    static const unsigned shifts[] = {0, 8, 16, 32, 48};
    struct fixture f;
    char path[64];
    for (size_t s = 0; s < COUNT(shifts); s++) {
        begin(&f);
        for (unsigned i = 0; i < 4096; i++) {
            zks__map_add(&f.map, &items[i].link, zks__hash_number((uint64_t)i << shifts[s]));
        }
        assert_true(longest(&f.map) < 16);
        end(&f);
    }
    begin(&f);
    for (unsigned i = 0; i < 4096; i++) {
        (void)snprintf(path, sizeof path, "/zksync/lock/some-host-%010u", i);
        zks__map_add(&f.map, &items[i].link, zks__hash_text(path));
    }
    assert_true(longest(&f.map) < 16);
    end(&f);
}

static void test_hash_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"",  "/",    "/a",   "/b",  "/ab",  "/ba",   "/a/b",
                                        "a", "\x80", "\xff", "/aa", "/aaa", "/aaaa", "/aaaaaaaa"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char copy[16];
        strcpy(copy, texts[i]);
        assert_true(zks__hash_text(copy) == zks__hash_text(texts[i]));
        for (size_t k = 0; k < i; k++) {
            assert_true(zks__hash_text(texts[k]) != zks__hash_text(texts[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_no_memory_to_begin_with),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_shrinking),
        cmocka_unit_test(test_same_hash),
        cmocka_unit_test(test_same_bucket),
        cmocka_unit_test(test_iteration),
        cmocka_unit_test(test_emptying),
        cmocka_unit_test(test_growth_without_memory),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_hashes_spread),
        cmocka_unit_test(test_hash_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
