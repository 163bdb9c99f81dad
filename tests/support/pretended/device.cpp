// Device cuda for a build of PyTorch without it: its tensors lie in the memory of the host, and every kernel is the
// processor's own. An operator meets the dispatch of CUDA, composites included, and only then is computed elsewhere.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

namespace {
const c10::Device HERE(c10::DeviceType::CUDA, 0);

struct Guard final : public c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::Device getDevice() const override { return HERE; }
  c10::Device exchangeDevice(c10::Device) const override { return HERE; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, HERE); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

// A stream of random numbers that calls the device its home, but while a kernel of the processor draws from it.
struct Random final : public at::CPUGeneratorImpl {
  Random() { device_ = HERE; }
  void move(c10::DeviceType type) { device_ = c10::Device(type, type == HERE.type() ? 0 : -1); }
};

struct Away {
  explicit Away(const std::vector<c10::IValue>& given) {
    for (const c10::IValue& value : given)
      if (value.isGenerator()) random = dynamic_cast<Random*>(value.toGenerator().unsafeGetGeneratorImpl());
    if (random) random->move(c10::DeviceType::CPU);
  }
  ~Away() { if (random) random->move(HERE.type()); }
  Random* random = nullptr;
};

void release(void* storage) { delete static_cast<c10::Storage*>(storage); }

// The same memory as a tensor of the other device; of the same storage where one is given.
at::Tensor seen_as(const at::Tensor& t, c10::Device device, const c10::Storage* storage = nullptr) {
  auto key = device.is_cpu() ? c10::DispatchKey::CPU : c10::DispatchKey::CUDA;
  const c10::Storage& own = t.storage();
  c10::Storage shared = storage ? *storage : c10::Storage(
      c10::Storage::use_byte_size_t(), own.nbytes(),
      c10::DataPtr(own.mutable_data(), new c10::Storage(own), &release, device), c10::GetCPUAllocator(), true);
  auto out = at::detail::make_tensor<at::TensorImpl>(std::move(shared), c10::DispatchKeySet(key), t.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) out.unsafeGetTensorImpl()->set_wrapped_number(true);
  return out;
}

at::Tensor host(const at::Tensor& t) {
  return t.defined() && t.is_cuda() ? seen_as(t, c10::Device(c10::DeviceType::CPU)) : t;
}

at::Tensor sent(const at::Tensor& t, const c10::Storage* storage) {
  return t.defined() && t.is_cpu() ? seen_as(t, HERE, storage) : t;
}

c10::IValue on_host(const c10::IValue& value) {
  if (value.isTensor()) return host(value.toTensor());
  if (value.isDevice() && value.toDevice().is_cuda()) return c10::Device(c10::DeviceType::CPU);
  if (value.isTensorList()) {
    c10::List<at::Tensor> out;
    for (const at::Tensor& t : value.toTensorVector()) out.push_back(host(t));
    return out;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> out;
    for (const std::optional<at::Tensor>& t : value.toOptionalTensorVector())
      out.push_back(t ? std::optional<at::Tensor>(host(*t)) : std::nullopt);
    return out;
  }
  return value;
}

c10::IValue on_device(const c10::IValue& value, const c10::Storage* storage) {
  if (value.isTensor()) return sent(value.toTensor(), storage);
  if (!value.isTensorList()) return value;
  c10::List<at::Tensor> out;
  for (const at::Tensor& t : value.toTensorVector()) out.push_back(sent(t, storage));
  return out;
}

// What an operator that makes its output larger or smaller has made of it.
void follow(const at::Tensor& given, const at::Tensor& written) {
  auto* impl = given.unsafeGetTensorImpl();
  if (written.storage().data() != given.storage().data()) impl->set_storage_keep_dtype(seen_as(written, HERE).storage());
  if (written.sizes() != given.sizes() || written.strides() != given.strides())
    impl->set_sizes_and_strides(written.sizes(), written.strides(), written.storage_offset());
}

// Any operator: the arguments as the host's, then what it gives as the device's. What is written in place is returned
// as it came, and a view keeps the storage of what it views.
void on_processor(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const size_t count = schema.arguments().size(), begin = stack->size() - count;
  const std::vector<c10::IValue> given(stack->begin() + begin, stack->end());
  for (size_t i = 0; i < count; i++) (*stack)[begin + i] = on_host(given[i]);
  {
    const Away away(given);
    op.callBoxed(stack);
  }
  for (size_t r = 0; r < schema.returns().size(); r++) {
    c10::IValue& made = (*stack)[begin + r];
    const auto* alias = schema.returns()[r].alias_info();
    const c10::IValue* source = nullptr;
    for (size_t i = 0; alias && i < count; i++) {
      const auto* other = schema.arguments()[i].alias_info();
      if (other && other->beforeSets() == alias->beforeSets()) source = &given[i];
    }
    if (alias && alias->isWrite() && source) {
      if (made.isTensor() && source->toTensor().is_cuda()) follow(source->toTensor(), made.toTensor());
      made = *source;
    }
    else made = on_device(made, source && source->isTensor() ? &source->toTensor().storage() : nullptr);
  }
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& source, bool) {
  host(self).copy_(host(source));
  return self;
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef size, std::optional<c10::MemoryFormat>) {
  if (self.sizes() == size) return self;  // a row that is drawn into stays where it is
  at::Tensor made = sent(at::empty(size, self.options().device(c10::DeviceType::CPU)), nullptr);
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(made.storage());
  self.unsafeGetTensorImpl()->set_sizes_and_strides(made.sizes(), made.strides(), 0);
  return self;
}

void record_stream(at::Tensor&, c10::Stream) {}

// PyTorch's zeros without memory, as the derivative of a sign, are ordinary ones here.
at::Tensor zeros(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                 std::optional<c10::Device>, std::optional<bool>) {
  return sent(at::zeros(size, at::TensorOptions().dtype(dtype)), nullptr);
}
}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_processor>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("copy_", &copy);
  m.impl("resize_", &resize);
  m.impl("record_stream", &record_stream);
  m.impl("_efficientzerotensor", &zeros);
  for (const char* composite : {"convolution", "convolution_backward"})  // these ask for the device themselves
    m.impl(composite, torch::CppFunction::makeFromBoxedFunction<&on_processor>());
}

namespace at {
struct CUDAHooks : public CUDAHooksInterface {
  CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex current_device() const override { return 0; }
  int getNumGPUs() const override { return 1; }
  const Generator& getDefaultGenerator(DeviceIndex) const override { return detail::getDefaultCPUGenerator(); }
  Generator getNewGenerator(DeviceIndex) const override { return make_generator<Random>(); }
};
using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at
