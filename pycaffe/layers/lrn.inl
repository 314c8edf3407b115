// Local response normalisation across channels with beta = 3/4, for a run of neighbouring pixels.
//
// Nothing is kept for the backward pass: the sums are cheaper to make again than to read back from memory.

namespace fast {
namespace {

inline IntVector bits_of(Vector x) { return reinterpret_cast<IntVector>(x); }

inline int32_t bits_of(float x) {
  int32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

// s^-1/4 for s > 0 to the last bit or so: an estimate from the exponent, good to 3 %, and three of Newton's steps, each
// of which squares the error. The same multiply-adds on every processor, in a quarter of the time of two square roots
// and a division.
template <class V>
inline V inverse_fourth_root(V s) {
  const auto bits = 0x4F586000 - (bits_of(s) >> 2);  // 5/4 of the bits of 1, less what halves the largest error
  V z;
  __builtin_memcpy(&z, &bits, sizeof z);
  for (int step = 0; step < 3; ++step) {
    const V square = z * z;
    z = multiply_add(0.25f * z, multiply_add(-s, square * square, V{} + 1.0f), z);
  }
  return z;
}

// A row that will be read or written soon.
template <int kWrite>
inline void fetch_row(const LrnShape& s, const float* rows, int channel, int count) {
  if (channel < s.channels) fetch<kWrite>(rows + channel * s.plane, count);
}

// Floats as a vector has them: Vector, and for what is left over at the end of a run, float.
template <class V>
inline V load_as(const float* from);
template <>
inline Vector load_as<Vector>(const float* from) { return load(from); }
template <>
inline float load_as<float>(const float* from) { return *from; }
inline void store(float value, float* to) { *to = value; }

// Calls work.run<Vector>(i) for whole vectors of [0, count), then work.run<float>(i).
template <class Work>
inline void for_pixels(int count, const Work& work) {
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) work.template run<Vector>(i);
  for (; i < count; ++i) work.template run<float>(i);
}

// The rows of the channels around one, from `first` on.
struct Window {
  const float* first;
  ptrdiff_t step;
  int rows;
};

inline Window window(const LrnShape& s, int c, const float* rows, ptrdiff_t step) {
  const int begin = c < s.half ? 0 : c - s.half;
  const int end = c + s.half < s.channels ? c + s.half + 1 : s.channels;
  return {rows + begin * step, step, end - begin};
}

// The sum of a pixel of the rows, or of its square. kRows: their number where the compiler is to know it, else 0.
template <bool kSquare, int kWindowRows, class V>
inline V sum_of(const Window& window, int i) {
  const int rows = kWindowRows ? kWindowRows : window.rows;
  V sum = {};
  for (int r = 0; r < rows; ++r) {
    const V x = load_as<V>(window.first + r * window.step + i);
    sum = kSquare ? multiply_add(x, x, sum) : sum + x;
  }
  return sum;
}

template <int kWindowRows>
struct Normalised {
  const LrnShape& s;
  Window squares;
  const float* x;
  float* y;

  template <class V>
  void run(int i) const {
    const V sum = sum_of<true, kWindowRows, V>(squares, i);
    const V root = inverse_fourth_root(multiply_add(V{} + s.alpha_over_size, sum, V{} + s.k));
    store(load_as<V>(x + i) * (root * root * root), y + i);
  }
};

void lrn(const LrnShape& s, const float* bottom, float* top, int count) {
  for (int c = 0; c < s.channels; ++c) {
    fetch_row<0>(s, bottom, c + s.half + 3, count);
    fetch_row<1>(s, top, c + 3, count);
    const Window squares = window(s, c, bottom, s.plane);
    const float* x = bottom + c * s.plane;
    float* y = top + c * s.plane;
    if (squares.rows == 5) for_pixels(count, Normalised<5>{s, squares, x, y});
    else for_pixels(count, Normalised<0>{s, squares, x, y});
  }
}

// dx = dy * s^-3/4, and dy * y / s, which every channel around has a part in.
template <int kWindowRows>
struct OwnPart {
  const LrnShape& s;
  Window squares;
  const float *x, *dy;
  float *dx, *ratio;

  template <class V>
  void run(int i) const {
    const V sum = sum_of<true, kWindowRows, V>(squares, i);
    const V root = inverse_fourth_root(multiply_add(V{} + s.alpha_over_size, sum, V{} + s.k));
    const V square = root * root;
    const V own = load_as<V>(dy + i) * (square * root);
    store(own, dx + i);
    store(own * load_as<V>(x + i) * (square * square), ratio + i);
  }
};

// What the channels around add to dx.
template <int kWindowRows>
struct OthersPart {
  const LrnShape& s;
  Window ratios;
  const float* x;
  float* dx;

  template <class V>
  void run(int i) const {
    const V sum = sum_of<false, kWindowRows, V>(ratios, i);
    store(multiply_add(-s.ratio * load_as<V>(x + i), sum, load_as<V>(dx + i)), dx + i);
  }
};

void lrn_backward(const LrnShape& s, const float* bottom, const float* top_diff, float* bottom_diff, int count,
                  float* ratios) {
  for (int c = 0; c < s.channels + s.half; ++c) {
    if (c < s.channels) {
      fetch_row<0>(s, bottom, c + s.half + 3, count);
      fetch_row<0>(s, top_diff, c + 3, count);
      fetch_row<1>(s, bottom_diff, c + 3, count);
      const Window squares = window(s, c, bottom, s.plane);
      const float *x = bottom + c * s.plane, *dy = top_diff + c * s.plane;
      float *dx = bottom_diff + c * s.plane, *ratio = ratios + size_t(c) * count;
      if (squares.rows == 5) for_pixels(count, OwnPart<5>{s, squares, x, dy, dx, ratio});
      else for_pixels(count, OwnPart<0>{s, squares, x, dy, dx, ratio});
    }
    const int done = c - s.half;  // the channel around which all is known
    if (done < 0) continue;
    const Window around = window(s, done, ratios, count);
    const float* x = bottom + done * s.plane;
    float* dx = bottom_diff + done * s.plane;
    if (around.rows == 5) for_pixels(count, OthersPart<5>{s, around, x, dx});
    else for_pixels(count, OthersPart<0>{s, around, x, dx});
  }
}

}  // namespace
}  // namespace fast
