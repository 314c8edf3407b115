// Vectors of floats, as long as the instruction set has them.

namespace fast {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
typedef float UnalignedVector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef int32_t IntVector __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef int32_t UnalignedIntVector __attribute__((vector_size(kLanes * sizeof(int32_t)), aligned(4), may_alias));
typedef uint8_t ByteVector __attribute__((vector_size(kLanes)));

inline Vector load(const float* from) { return *reinterpret_cast<const UnalignedVector*>(from); }

inline void store(Vector vector, float* to) { *reinterpret_cast<UnalignedVector*>(to) = vector; }

// a * b + c, rounded once where the processor can. By name, because compilers break up the expression when they think that
// this is faster: then the sums, and with them the picture, would depend on the compiler and on the tile's shape.
inline Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

// x > y ? x : y, so y where one of them is NaN. By name, because compilers make a comparison and a choice of it.
inline Vector larger(Vector x, Vector y) {
#if defined(__AVX512F__)
  return _mm512_mask_max_ps(x, __mmask16(-1), x, y);  // GCC 12 warns of the plain one
#elif defined(__AVX2__)
  return _mm256_max_ps(x, y);
#elif defined(__SSE2__)
  return _mm_max_ps(x, y);
#else
  return x > y ? x : y;
#endif
}

// Upstream's expressions for a rectification and its slope, so that infinities, NaN and the sign of zero come out alike.
inline Vector rectify(Vector x, float slope) {
  const Vector zero = {};
  return multiply_add(zero + slope, zero < x ? zero : x, x < zero ? zero : x);
}

inline float rectify(float x, float slope) { return multiply_add(slope, 0 < x ? 0 : x, x < 0 ? 0 : x); }

inline float rectification_slope(float x, float slope) {
  return multiply_add(slope, x <= 0 ? 1.0f : 0.0f, x > 0 ? 1.0f : 0.0f);
}

// Fetches floats that will be read (kWrite 0) or written (1) soon. The processor foresees no further than the end of a
// page, and nothing of what lies in many short runs.
template <int kWrite>
inline void fetch(const float* from, int count) {
  for (int i = 0; i < count; i += 16) __builtin_prefetch(from + i, kWrite);
}

}  // namespace
}  // namespace fast
